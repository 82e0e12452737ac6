"""Asks one worker for its own dump through Redis, or reads its stacks on this host where it cannot answer."""

import os
import signal
import socket
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiqdoctor.doctor.facts.threads import Threads
from kiqdoctor.wire.heartbeat import INFO, RUNTIME, split_identity

if TYPE_CHECKING:
    from kiqdoctor.doctor.snapshot import Refused
    from kiqdoctor.runtime.config import Settings
    from kiqdoctor.runtime.dumping.dump import Dump
    from kiqdoctor.wire.heartbeat import Info

PROC = Path("/proc")


class UnansweredError(Exception):
    """No dump of the process's own: one line that says why, and what is needed; ``instead``, where it was read."""

    def __init__(self, text: str, instead: Threads | None = None) -> None:
        super().__init__(text)
        self.instead = instead


def of_identity(identity: str, settings: "Settings", timeout: float) -> "Dump":
    """The dump of the process with this identity.

    Raises:
        UnansweredError: it cannot be asked, or does not answer in time.
    """
    try:
        return _through_redis(settings, timeout, identity=identity)
    except UnansweredError as error:
        pid = split_identity(identity)[1]
        raise UnansweredError(f"{error}; on its host, kiqdoctor dump {pid} reads the stacks of any Python") from None


def of_pid(pid: int, settings: "Settings", timeout: float) -> "Dump | Threads":
    """Through Redis too; where that fails, its stacks from outside.

    Raises:
        UnansweredError: neither way; or one of our workers does not answer, whose stacks may come with that.
    """
    from kiqdoctor.probes.host.recognise import recognise

    folder = PROC / str(pid)
    try:
        cmdline = (folder / "cmdline").read_bytes()
    except OSError:
        missing = f"no process {pid} on this host" if PROC.joinpath("self").exists() else "no /proc on this host"
        raise UnansweredError(f"{missing}; a worker elsewhere is asked by its identity HOST:PID:NONCE") from None
    try:
        return _through_redis(settings, timeout, pid=pid)
    except UnansweredError as error:
        why = str(error)
    title = recognise(folder, cmdline)
    stacks = _from_outside(pid)
    if title is not None and title.kind == "kiqdoctor":
        instead = stacks if isinstance(stacks, Threads) else None
        raise UnansweredError(f"{why}; {_signalled(pid)}", instead)
    if isinstance(stacks, Threads):
        return replace(stacks, note=f"{why}; {stacks.note}")
    whose = f"a worker of {title.kind}" if title is not None else "not known as a worker"
    unlock = f"; what helps: {stacks.unlock}" if stacks.unlock else ""
    raise UnansweredError(
        f"process {pid} is {whose}, and only kiqdoctor's own runtime answers ({why});"
        f" py-spy dump --pid {pid}: {stacks.reason}{unlock}"
    )


def _from_outside(pid: int) -> "Threads | Refused":
    from kiqdoctor.doctor.probe import RefusalError
    from kiqdoctor.probes.threads.stacks import stacks

    try:
        return stacks(pid, proc=PROC)
    except RefusalError as error:
        return error.refused


def _signalled(pid: int) -> str:
    """TTIN makes our worker write the dump into its own log; it would stop a process that does not catch it."""
    if not catches(PROC / str(pid), signal.SIGTTIN):
        return f"process {pid} does not catch TTIN, which would stop it: nothing was sent"
    try:
        os.kill(pid, signal.SIGTTIN)
    except OSError as error:
        return f"TTIN could not be sent to process {pid}: {error.strerror}"
    return f"sent TTIN to process {pid} instead: the dump is in its own log"


def catches(folder: Path, number: int) -> bool:
    """Whether the process of this folder of /proc has a handler for the signal; no where that cannot be read."""
    try:
        status = (folder / "status").read_text("ascii", "replace")
    except OSError:
        return False
    mask = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), "0")
    return bool(int(mask, 16) >> (number - 1) & 1)


def _through_redis(settings: "Settings", timeout: float, *, identity: str = "", pid: int = 0) -> "Dump":
    import redis

    from kiqdoctor.runtime.config import connect
    from kiqdoctor.runtime.dumping.watchdog import ask

    client = connect(settings, 1)
    try:
        processes = _processes(client, settings)
        chosen = identity or _here(pid, processes, settings)
        _must_be_ours(chosen, processes, settings)
        return ask(client, settings.keys, chosen, timeout)
    except redis.RedisError as error:
        why = " ".join(str(error).split())
        raise UnansweredError(f"Redis at {_address(settings)} could not be asked: {why}") from None
    except TimeoutError as error:
        raise UnansweredError(str(error)) from None
    except ValueError as error:
        raise UnansweredError(f"the answer cannot be read: {error}") from None
    finally:
        client.close()


def _processes(client: Any, settings: "Settings") -> "dict[str, Info | None]":
    """Identities, and what their beats say; None where the beat is gone or cannot be read."""
    from kiqdoctor.wire.heartbeat import read_info

    names = [raw.decode("utf-8", "backslashreplace") for raw in client.smembers(settings.keys.processes)]
    with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.hget(settings.keys.process(name), INFO)
        answers = pipe.execute(raise_on_error=False)
    found: dict[str, Info | None] = {}
    for name, raw in zip(names, answers, strict=True):
        try:
            found[name] = read_info(raw) if isinstance(raw, bytes) else None
        except ValueError:
            found[name] = None
    return found


def _here(pid: int, processes: "dict[str, Info | None]", settings: "Settings") -> str:
    """The youngest process of this host with this pid."""
    names = {socket.gethostname(), os.environ.get("DYNO", "")}
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


def _must_be_ours(identity: str, processes: "dict[str, Info | None]", settings: "Settings") -> None:
    info = processes.get(identity)
    if info is None:
        alive = ", ".join(sorted(name for name, one in processes.items() if one is not None)[:5]) or "none"
        raise UnansweredError(f"no process {identity} beats in Redis at {_address(settings)}; those that do: {alive}")
    if info.runtime != RUNTIME:
        raise UnansweredError(f"{identity} is no worker of kiqdoctor's runtime, and no other answers through Redis")


def _address(settings: "Settings") -> str:
    return settings.where + (f", namespace {settings.namespace}" if settings.namespace else "")
