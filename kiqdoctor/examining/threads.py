"""The threads of one worker, by the best way there is: it is asked through Redis, or its stacks are read here."""

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from kiqdoctor.connection import Address
from kiqdoctor.doctor.facts.threads import Frame, Pool, Thread, Threads
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.text import clean
from kiqdoctor.wire.heartbeat import RUNTIME, split_identity

if TYPE_CHECKING:
    from kiqdoctor.runtime.config import Settings
    from kiqdoctor.runtime.dumping.dump import Dump, ThreadDump

ITS_OWN: Final = "its own dump, through Redis"
GRACE: Final = 0.5  # seconds beyond the timeout, for a Redis that is slow to connect
STACKS: Final = 5.0  # seconds for py-spy


def threads_of(
    identity: str,
    runtime: str,
    pid: int | None,
    here: bool,
    address: Address,
    namespace: str | None,
    *,
    may_ask: bool = True,
    timeout: float = 7.0,
) -> Threads | Refused:
    """What its threads do: of our runtime its own dump; else, or without an answer, its stacks where it is ``here``.

    ``runtime`` is what its beat says, ``pid`` its number on this host. ``may_ask``: whether Redis may be written to.
    Takes ``timeout`` + 6 seconds at most, and raises nothing.
    """
    asked = _asked(identity, runtime, address, namespace, timeout) if may_ask else _may_not_ask(identity, runtime)
    if isinstance(asked, Threads):
        return asked
    if not here or pid is None:
        return Refused(asked.reason, _either(asked.unlock, _there(identity)))
    read = _from_outside(pid, identity)
    if isinstance(read, Refused):
        return Refused(f"{asked.reason}; {read.reason}", _either(asked.unlock, read.unlock))
    return named_as_in_redis(read, asked.reason, split_identity(identity)[1] or pid) if runtime == RUNTIME else read


def _from_outside(pid: int, identity: str) -> Threads | Refused:
    from kiqdoctor.probes.threads.stacks import stacks

    try:
        return stacks(pid, identity, within_s=STACKS)
    except RefusalError as error:
        return error.refused
    except Exception as error:  # noqa: BLE001 - a view shows what happened and goes on
        return Refused(f"its stacks could not be read: {type(error).__name__}: {clean(str(error))}")


def _may_not_ask(identity: str, runtime: str) -> Refused:
    if runtime != RUNTIME:
        return _stranger(identity)
    return Refused("a worker is asked by a write to Redis, and Redis may not be written to")


def _stranger(identity: str) -> Refused:
    return Refused(f"{clean(identity)} is no worker of kiqdoctor's runtime, and no other answers through Redis")


def _there(identity: str) -> str:
    host, pid = split_identity(identity)
    return f"kiqdoctor dump {pid} on {clean(host)}" if pid is not None else "kiqdoctor dump PID on its host"


def _either(*unlocks: str) -> str:
    return ", or ".join(unlock for unlock in unlocks if unlock)


def _asked(identity: str, runtime: str, address: Address, namespace: str | None, timeout: float) -> Threads | Refused:
    """In a thread of its own, left behind where Redis hangs: a connection alone may take longer than we have."""
    if runtime != RUNTIME:
        return _stranger(identity)
    heard: list[Threads | Refused] = []
    asking = threading.Thread(
        target=lambda: heard.append(_ask(identity, address, namespace, timeout)), daemon=True, name="kiq.asking"
    )
    asking.start()
    asking.join(timeout + GRACE)
    return heard[0] if heard else Refused(f"Redis at {address.shown} did not answer within {timeout:g} s")


def _ask(identity: str, address: Address, namespace: str | None, timeout: float) -> Threads | Refused:
    import redis

    from kiqdoctor.runtime.config import Settings, connect
    from kiqdoctor.runtime.dumping.watchdog import ask

    settings = Settings(address.url, (namespace or "").rstrip(":") or None)
    try:
        client = connect(settings, 1)
        try:
            return told(ask(client, settings.keys, identity, timeout), identity)
        finally:
            client.close()
    except redis.RedisError as error:
        text = clean(" ".join(str(error).split()))
        return Refused(f"Redis at {address.shown} could not be asked: {text}", _rules(text, settings))
    except (TimeoutError, ValueError) as error:
        return Refused(clean(str(error), 400))
    except Exception as error:  # noqa: BLE001 - a view shows what happened and goes on
        return Refused(f"it could not be asked: {type(error).__name__}: {clean(str(error))}")


def _rules(text: str, settings: "Settings") -> str:
    """The permissions that asking takes, where one was missing."""
    if "permission" not in text.lower():
        return ""
    user = unquote(urlsplit(settings.url).username or "default")
    asks, answers = settings.keys.ask("*"), settings.keys.answer("*")
    return f"ACL SETUSER {clean(user)} ~{asks} ~{answers} +multi +exec +lpush +expire +getdel +lrem"


def told(found: "Dump", identity: str) -> Threads:
    """A process's own dump as the view's fact."""
    return Threads(
        identity=clean(identity),
        at=found.at,
        source=ITS_OWN,
        threads=tuple(_thread(one) for one in found.threads),
        more_threads=found.more_threads,
        pools=tuple(Pool(pool.name, pool.in_use, pool.size) for pool in found.pools),
        deadlocks=found.deadlocks,
        sure=all(one.waits.sure for one in found.threads if one.waits is not None and _in_a_ring(one, found)),
    )


def _in_a_ring(one: "ThreadDump", found: "Dump") -> bool:
    return any(one.tid in ring for ring in found.deadlocks)


def _thread(one: "ThreadDump") -> Thread:
    from kiqdoctor.runtime.dumping.dump import holder_words, lock_words

    return Thread(
        id=one.tid,
        name=one.name,
        frames=tuple(Frame(line.function, line.file, line.line, line.source) for line in one.frames),
        more_frames=one.more_frames,
        job_class=one.job.job_class if one.job else "",
        jid=one.job.jid if one.job else "",
        queue=one.job.queue if one.job else "",
        running_s=one.job.running_s if one.job else None,
        holds=tuple(f"{'' if held.sure else 'probably '}{lock_words(held)}, taken at {held.at}" for held in one.holds),
        waits=f"{lock_words(one.waits)} at {one.waits.at}, {holder_words(one.waits)}" if one.waits else "",
    )


def named_as_in_redis(found: Threads, why: str, pid: int) -> Threads:
    """Our worker's stacks by the ids that its jobs have in Redis, with the reason why it did not tell them itself.

    ``pid``: the number that it knows itself by, in its own PID namespace.
    """
    named = tuple(replace(one, id=_tid(one.id, pid)) for one in found.threads)
    rings = tuple(tuple(_tid(name, pid) for name in ring) for ring in found.deadlocks)
    return replace(found, threads=named, deadlocks=rings, note=f"{why}; {found.note}" if why else found.note)


def _tid(ident: str, pid: int) -> str:
    """The id that a process ``pid`` of our runtime gives its thread of this ident in hexadecimal."""
    from kiqdoctor.runtime.log import thread_id

    return thread_id(int(ident, 16) ^ pid ^ os.getpid())  # which mixes in our own pid, as if the thread were ours
