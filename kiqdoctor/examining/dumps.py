"""Asks one worker for its own dump through Redis, or reads its stacks on this host where it cannot answer."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiqdoctor.clock import SYSTEM
from kiqdoctor.connection import ConnectError, ReadOnlyConnection, resolve_url
from kiqdoctor.doctor.facts.threads import Threads
from kiqdoctor.doctor.hanging import computing, diagnosed
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.examining.folded import some
from kiqdoctor.examining.looking import Asking, Looked, judged, merged, unable
from kiqdoctor.examining.rubies import Jobs, by_beat, of_ruby
from kiqdoctor.examining.threads import named_as_in_redis, told
from kiqdoctor.probes.host.files import link, listed, read
from kiqdoctor.probes.host.local_processes import host_names
from kiqdoctor.probes.threads.attach import fields
from kiqdoctor.probes.threads.held import BOOT, started_at
from kiqdoctor.probes.threads.looks import PAUSED, looks
from kiqdoctor.probes.threads.signals import catches
from kiqdoctor.probes.threads.stacks import absent
from kiqdoctor.probes.threads.tasks import state
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.heartbeat import BEAT, INFO, RUNTIME, WorkEntry, read_work, split_identity
from kiqdoctor.wire.stamps import plain

if TYPE_CHECKING:
    from kiqdoctor.probes.host.recognise import Title
    from kiqdoctor.runtime.config import Settings
    from kiqdoctor.wire.heartbeat import Info

PROC = Path("/proc")
BOOTING = 600.0  # seconds within which a process that began has told when
SOON = 3.0  # seconds for what is beside the point
MOST_JOBS = 10_000
MOST_BYTES = 16 * 1024 * 1024
OURS = "kiqdoctor"
_FORKED = regex(
    r"/(?:multiprocessing|billiard)/popen_fork\.py:(?:Popen\.)?_launch$|/gunicorn/arbiter\.py:(?:Arbiter\.)?spawn_worker$"
    r"|/rq/.{1,80}fork_work_horse$"
)
"""The calls by which servers fork their workers, which a child keeps at the bottom of its stack."""


class UnansweredError(Exception):
    """Nothing can be shown: one line that says why, and what is needed."""


class GoneError(UnansweredError):
    """There is no such process, or none any more."""


def of_identity(identity: str, settings: "Settings", timeout: float) -> Looked:
    """What the process with this identity does; where it runs on this host it is looked at too.

    Raises:
        UnansweredError: it cannot be asked, or does not answer in time.
    """
    host, pid = split_identity(identity)
    here = None if pid is None else _local(identity, host, pid, settings)
    if here is not None:
        return of_pid(here, settings, timeout, identity)
    try:
        return _answered(_through_redis(settings, timeout, identity=identity), ())
    except UnansweredError as error:
        where = f"on its host, or in its container, kiqdoctor dump {pid} reads the stacks of any Python"
        raise type(error)(f"{error}; {where}") from None


def of_pid(pid: int, settings: "Settings", timeout: float, identity: str = "") -> Looked:
    """By looking at it from outside, and by asking it where it is a worker of ours that can answer.

    Raises:
        UnansweredError: neither way.
    """
    if not PROC.joinpath(str(pid), "cmdline").exists():
        missing = absent(pid, PROC).refused
        if not missing.unlock:
            raise GoneError(f"{missing.reason}; a worker elsewhere is asked by its identity HOST:PID:NONCE")
        return _only_asked(pid, "", Asking(lambda: _told(settings, timeout, pid, identity)), missing)
    title = _title(pid)
    kind = title.kind if title is not None else ""
    if kind == "sidekiq":
        return of_ruby(pid, PROC, lambda: _soon(pid, settings, identity))
    paused = state(pid, PROC) in PAUSED
    asking = None if paused else Asking(lambda: _told(settings, timeout, pid, identity))
    outside = looks(pid, PROC)
    if isinstance(outside, Refused):
        return _halted(pid, kind, outside, settings, identity) or _only_asked(pid, kind, asking, outside)
    return _both(pid, kind, asking, outside)


def _both(pid: int, kind: str, asking: Asking | None, outside: tuple[Threads, ...]) -> Looked:
    """What was seen of it, with its own words where it can answer."""
    itself = fields(PROC / str(pid) / "status").get("NSpid", "").split()
    named = tuple(named_as_in_redis(one, "", int(itself[-1]) if itself else pid) for one in outside)
    if asking is None or unable(named):
        return _seen(pid, kind == OURS, named if kind == OURS else outside)
    try:
        return _answered(asking.answer(), named)
    except UnansweredError as error:
        if kind != OURS:
            return _seen(pid, False, outside, str(error))
        found = _seen(pid, True, named, str(error))
        return replace(found, partial=f"{error}; {_signalled(pid)}")


def _local(identity: str, host: str, pid: int, settings: "Settings") -> int | None:
    """The process of this host, or of a container on it, that registered so: a pid may be another's by now."""
    seats = [one for one in _seats(host, pid) if _title(one) is not None]
    if not seats:
        return None
    try:
        with _reading(settings) as redis:
            info = _processes(redis, settings).get(identity)
    except UnansweredError:
        return None  # whoever asks through Redis says so
    found = [one for one in seats if _began(one, info)]
    return found[0] if len(found) == 1 else None


def _seats(host: str, pid: int) -> Iterator[int]:
    """Pids here that can be meant by a host and a pid, which in a container are its own."""
    if host in _names():
        yield pid
    for name in listed(PROC):
        if name.isdigit() and name != str(pid):
            within = fields(PROC / name / "status").get("NSpid", "").split()
            folder = PROC / name
            if within[1:] and within[-1] == str(pid) and host in _called(folder):
                yield int(name)


def _called(folder: Path) -> set[str]:
    """Names of its host that a process in a container may have told."""
    return {*_names(), *host_names(folder, read(folder / "environ") or b"")}


def _began(pid: int, info: "Info | None") -> bool:
    began = started_at(PROC / str(pid))
    return info is not None and info.started_at is not None and 0 < began <= info.started_at + BOOT


def _title(pid: int) -> "Title | None":
    from kiqdoctor.probes.host.recognise import recognise

    folder = PROC / str(pid)
    return recognise(folder, read(folder / "cmdline") or b"")


def _told(settings: "Settings", timeout: float, pid: int, identity: str) -> Threads:
    return _through_redis(settings, timeout, identity=identity, pid=pid)


def _answered(own: Threads, outside: tuple[Threads, ...]) -> Looked:
    every = merged(own, outside)
    return judged(every, "own")


def _seen(pid: int, ours: bool, outside: tuple[Threads, ...], why: str = "") -> Looked:
    """From outside only: a worker of ours that cannot answer is named as it is in Redis."""
    found = judged(outside)
    running = computing(outside) if found.diagnosis else ()  # else it is what is told in place of a cause
    words = ("" if ours else why, _orphaned(pid, outside[-1]), _about_children(pid), *running, outside[-1].note)
    return replace(found, threads=replace(outside[-1], identity=str(pid), note="; ".join(filter(None, words))))


def _about_children(pid: int) -> str:
    """Who pre-forks waits for its children, and what hangs is one of them."""
    raw = read(PROC / str(pid) / "task" / str(pid) / "children") or b""
    found = [child for child in decode(raw).split() if _same_program(pid, child)]
    return f"what hangs may be a child of it, dump each: {some(found)}" if found else ""


def _orphaned(pid: int, seen: Threads) -> str:
    """Whether a server that pre-forks made it and is gone, so that whoever adopted it runs another program."""
    forked = any(_FORKED.search(f"{frame.file}:{frame.function}") for one in seen.threads for frame in one.frames)
    above = fields(PROC / str(pid) / "status").get("PPid", "0") if forked else "0"
    mine, theirs = link(PROC / str(pid) / "exe"), link(PROC / above / "exe")
    if above == "0" or mine is None or mine == theirs or (theirs is None and above != "1"):
        return ""
    name = clean(decode(read(PROC / above / "comm") or b"?").strip())
    return f"its parent has ended: process {above} ({name}) adopted it, and nobody ends or replaces it"


def _same_program(pid: int, child: str) -> bool:
    """Whether it was forked and does not run another program."""
    mine, theirs = (read(PROC / name / "cmdline") for name in (str(pid), child))
    return bool(mine) and mine == theirs


def _halted(pid: int, kind: str, stacks: Refused, settings: "Settings", identity: str) -> Looked | None:
    """That it is stopped needs no permission, nor what it last told Redis; None of one that is not."""
    nothing = Threads(str(pid), SYSTEM.now(), "/proc", state=state(pid, PROC))
    wrong = diagnosed((nothing,))
    if not wrong:
        return None
    said = "; ".join(filter(None, (stacks.reason, f"what helps: {stacks.unlock}" if stacks.unlock else "")))
    told = by_beat(nothing, _soon(pid, settings, identity)) if kind == OURS else nothing
    return Looked(told, wrong, "py-spy", said)


def _only_asked(pid: int, kind: str, asking: Asking | None, stacks: Refused) -> Looked:
    """Its own words, where it cannot be read from outside."""
    unlock = f"; what helps: {stacks.unlock}" if stacks.unlock else ""
    try:
        if asking is not None:
            return _answered(asking.answer(), ())
        why = f"process {pid} is paused ({state(pid, PROC)}) and cannot be asked"
    except UnansweredError as error:
        why = str(error)
    if kind == OURS:
        raise UnansweredError(f"{why}; {stacks.reason}{unlock}; {_signalled(pid)}")
    whose = f"a worker of {kind}" if kind else "not known as a worker"
    raise UnansweredError(
        f"{stacks.reason}{unlock}; nor can it be asked: process {pid} is {whose}, and only kiqdoctor's own runtime"
        f" answers ({why})"
    )


def _signalled(pid: int) -> str:
    """TTIN makes our worker write the dump into its own log; it would stop a process that does not catch it."""
    if state(pid, PROC) in PAUSED:
        return f"process {pid} is paused, and was sent nothing"
    if not catches(PROC / str(pid), signal.SIGTTIN):
        return f"process {pid} does not catch TTIN, which would stop it: nothing was sent"
    try:
        os.kill(pid, signal.SIGTTIN)
    except OSError as error:
        return f"TTIN could not be sent to process {pid}: {error.strerror}"
    return f"sent TTIN to process {pid} instead: the dump is in its own log"


def _through_redis(settings: "Settings", timeout: float, *, identity: str = "", pid: int = 0) -> Threads:
    with _reading(settings) as reader:
        processes = _processes(reader, settings)
    chosen = identity or _here(pid, processes, settings)
    _must_be_ours(chosen, processes, settings)
    return _asked(settings, timeout, chosen)


def _asked(settings: "Settings", timeout: float, chosen: str) -> Threads:
    """By a write to Redis, which takes redis-py: 0.1 s of processor time to import, so only where one can answer."""
    import redis

    from kiqdoctor.runtime.config import connect
    from kiqdoctor.runtime.dumping.watchdog import ask

    client = connect(settings, 1)
    try:
        return told(ask(client, settings.keys, chosen, timeout), chosen)
    except redis.RedisError as error:
        why = " ".join(str(error).split())
        raise UnansweredError(f"Redis at {_address(settings)} could not be asked: {why}") from None
    except TimeoutError as error:
        raise UnansweredError(str(error)) from None
    except ValueError as error:
        raise UnansweredError(f"the answer cannot be read: {error}") from None
    finally:
        client.close()


def _soon(pid: int, settings: "Settings", identity: str) -> Jobs:
    """The same, unless Redis keeps us waiting: what is stopped is answered for at once."""
    heard: list[Jobs] = []
    asking = threading.Thread(
        target=lambda: heard.append(_jobs(pid, settings, identity)), daemon=True, name="kiq.asking"
    )
    asking.start()
    asking.join(SOON)
    return heard[0] if heard else Jobs({}, why=f"Redis at {_address(settings)} did not answer within {SOON:g} s")


def _jobs(pid: int, settings: "Settings", identity: str) -> Jobs:
    """What the worker with this pid told Redis that its threads run."""
    try:
        with _reading(settings) as redis:
            chosen = identity or _registered(pid, _processes(redis, settings), settings)
            return _told_jobs(redis, settings, chosen)
    except UnansweredError as error:
        return Jobs({}, why=str(error))


def _registered(pid: int, processes: "dict[str, Info | None]", settings: "Settings") -> str:
    """Of those that bear its number, in whatever namespace it has that, the one that began when it did."""
    folder = PROC / str(pid)
    numbers = {str(pid), *fields(folder / "status").get("NSpid", "").split()}
    began = started_at(folder)
    fits = [
        name
        for name, info in processes.items()
        if info is not None and info.started_at is not None and str(split_identity(name)[1]) in numbers
        and 0 <= info.started_at + BOOT - began < BOOTING
    ]  # fmt: skip
    named = _called(folder)
    fits = [name for name in fits if split_identity(name)[0] in named] if len(fits) > 1 else fits
    if len(fits) != 1:
        raise UnansweredError(
            f"{len(fits) or 'no'} workers that beat in Redis at {_address(settings)} can be process {pid};"
            " --redis and --namespace say which one it uses"
        )
    return fits[0]


def _told_jobs(redis: ReadOnlyConnection, settings: "Settings", identity: str) -> Jobs:
    """Its hash of jobs, under the name of its version, where it is no larger than an honest one."""
    keys = settings.keys
    beat = plain(_reply(redis, "HGET", keys.process(identity), BEAT))
    found: dict[str, WorkEntry] = {}
    for key in (keys.work(identity), keys.workers(identity)):
        many = _reply(redis, "HLEN", key) > MOST_JOBS
        if many or (_reply(redis, "MEMORY", "USAGE", key, "SAMPLES", 0) or 0) > MOST_BYTES:
            return Jobs({}, beat, f"{key} is larger than any worker's")
        raw = _reply(redis, "HGETALL", key)
        for thread, entry in zip(raw[::2], raw[1::2], strict=True):
            with suppress(ValueError):
                name = (thread or b"").decode("utf-8", "backslashreplace")
                found[name] = read_work(name, entry or b"")
    return Jobs(found, beat)


def _processes(redis: ReadOnlyConnection, settings: "Settings") -> "dict[str, Info | None]":
    """Identities, and what their beats say; None where the beat is gone or cannot be read."""
    from kiqdoctor.wire.heartbeat import read_info

    told = _reply(redis, "SMEMBERS", settings.keys.processes)
    names = [raw.decode("utf-8", "backslashreplace") for raw in told if raw]
    answers = redis.exchange([("HGET", settings.keys.process(name), INFO) for name in names]) if names else []
    found: dict[str, Info | None] = {}
    for name, raw in zip(names, answers, strict=True):
        try:
            found[name] = read_info(raw) if isinstance(raw, bytes) else None
        except ValueError:
            found[name] = None
    return found


@contextmanager
def _reading(settings: "Settings") -> Iterator[ReadOnlyConnection]:
    """Redis, to read from.

    Raises:
        UnansweredError: it could not be reached, or refused.
    """
    redis = ReadOnlyConnection(resolve_url(settings.url, {}))
    try:
        redis.open()
        yield redis
    except ConnectError as error:
        raise UnansweredError(f"Redis at {_address(settings)} could not be asked: {error}") from None
    finally:
        redis.close()


def _reply(redis: ReadOnlyConnection, *command: str | int) -> Any:
    """What one command is answered; what the server refuses is none.

    Raises:
        UnansweredError: it refused.
    """
    [reply] = redis.exchange([command])
    if isinstance(reply, Exception):
        raise UnansweredError(f"Redis refused {command[0]}: {' '.join(str(reply).split())}")
    return reply


def _here(pid: int, processes: "dict[str, Info | None]", settings: "Settings") -> str:
    """The youngest process of this host with this pid."""
    names = _names()
    fits = [
        (info.started_at or 0.0, name)
        for name, info in processes.items()
        if info is not None and split_identity(name)[1] == pid and split_identity(name)[0] in names
    ]
    if not fits:
        raise UnansweredError(
            f"no worker of this host with pid {pid} beats in Redis at {_address(settings)};"
            " --redis and --namespace say which one it uses"
        )
    return max(fits)[1]


def _names() -> set[str]:
    """What workers of this host call it."""
    return {socket.gethostname(), os.environ.get("DYNO", "")} - {""}


def _must_be_ours(identity: str, processes: "dict[str, Info | None]", settings: "Settings") -> None:
    info = processes.get(identity)
    if info is None:
        alive = ", ".join(sorted(name for name, one in processes.items() if one is not None)[:5]) or "none"
        raise GoneError(f"no process {identity} beats in Redis at {_address(settings)}; those that do: {alive}")
    if info.runtime != RUNTIME:
        raise UnansweredError(f"{identity} is no worker of kiqdoctor's runtime, and no other answers through Redis")


def _address(settings: "Settings") -> str:
    return settings.where + (f", namespace {settings.namespace}" if settings.namespace else "")
