"""Asks a Ruby Sidekiq for its threads: TTIN, which it must catch, makes it write their stacks into its log."""

import json
import os
import shutil
import signal
import stat
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.threads import Frame, Thread, Threads
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.probes.threads.attach import fields, refusal
from kiqdoctor.probes.threads.looks import PAUSED
from kiqdoctor.probes.threads.signals import catches
from kiqdoctor.probes.threads.tasks import state
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode

PATIENCE: Final = 2.0  # seconds for the log to be written
QUIET: Final = 0.3  # seconds without another line, after which it is whole
POLL: Final = 0.05  # seconds
MOST: Final = 8 * 1024 * 1024  # bytes of the log
FRAMES: Final = 100
BETWEEN: Final = 1.0  # seconds between two dumps


class SilentError(RefusalError):
    """It catches TTIN, what it writes can be read, and it wrote nothing."""


_THREAD: Final = regex(r"Thread TID-(?P<id>[0-9a-z]{1,20})(?: (?P<name>.{0,200}))?$")
_FRAME: Final = regex(r"(?P<file>(?:/|<internal:)[^:\n]{0,500}):(?P<line>[0-9]{1,9}):in [`'](?P<name>[^'\n]{1,300})'")


def dumps(pid: int, proc: Path, clock: Clock = SYSTEM) -> tuple[Threads, ...]:
    """Its threads by two dumps of its own.

    Raises:
        SilentError: it wrote none where it could be read.
        RefusalError: what keeps it from writing one, or us from reading it.
    """
    folder = proc / str(pid)
    now = state(pid, proc)
    if now in PAUSED:
        raise RefusalError(f"process {pid} is {now} and writes no dump", "look again once it runs")
    if not catches(folder, signal.SIGTTIN):
        raise RefusalError(f"process {pid} does not catch TTIN, which would stop it: nothing was sent")
    log = next(filter(None, (_open(folder, number) for number in (1, 2))), None)
    found: list[Threads] = []
    try:
        for number in range(2):
            if number:
                clock.sleep(BETWEEN)
            # What is left of the dump before may come with this one: a thread is told once, as it was last.
            threads = named_apart(tuple({one.id: one for one in _threads(_dumped(pid, log, clock))}.values()))
            if not threads:
                break
            note = "its own dump, from its log"
            found.append(
                Threads(str(pid), clock.now(), f"kill -TTIN {pid}", threads, note=note, state=state(pid, proc))
            )
    finally:
        if log is not None:
            os.close(log)
    if not found:
        if log is not None:
            silent = f"process {pid} catches TTIN and wrote no dump within {PATIENCE:g} s"
            why = "a thread keeps Ruby's lock (GVL), or its main thread is stuck"
            raise SilentError(f"{silent}: {why}", f"rbspy snapshot --pid {pid}")
        raise _elsewhere(pid, proc)
    return tuple(found)


def _open(folder: Path, number: int) -> int | None:
    """Its standard output or error, where that is a regular file: at its end."""
    with suppress(OSError):
        descriptor = os.open(folder / "fd" / str(number), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.lseek(descriptor, 0, os.SEEK_END)
            return descriptor
        os.close(descriptor)
    return None


def _dumped(pid: int, log: int | None, clock: Clock) -> str:
    """What it wrote after TTIN, as far as that can be read here."""
    began = time.time()
    try:
        os.kill(pid, signal.SIGTTIN)
    except OSError as error:
        whose = fields(Path(f"/proc/{pid}/status")).get("Uid", "").split()
        them = f"uid {whose[0]}" if whose else "its user"
        raise RefusalError(f"TTIN could not be sent to process {pid}: {error.strerror}",
                           f"run as {them}, or with CAP_KILL as root") from None  # fmt: skip
    if log is None:
        return _journal(pid, began, clock)
    text, ends, quiet = b"", clock.monotonic() + PATIENCE, 0.0
    while clock.monotonic() < ends and len(text) < MOST and quiet < QUIET:
        more = os.read(log, 1 << 16)
        text += more
        quiet = 0.0 if more or b"Thread TID-" not in text else quiet + POLL
        if not more:
            clock.sleep(POLL)
    return decode(text)


def _journal(pid: int, began: float, clock: Clock) -> str:
    """What the journal has of this process since then; "" where there is none, or it may not be read."""
    program = shutil.which("journalctl")
    if program is None:
        return ""
    clock.sleep(QUIET)
    try:
        done = subprocess.run(
            [program, "-q", "-o", "cat", f"_PID={pid}", f"--since=@{began:.0f}"],
            capture_output=True, timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return decode(done.stdout[:MOST])


def _elsewhere(pid: int, proc: Path) -> RefusalError:
    """Where its dump is, or the permission to know that."""
    sent = f"sent TTIN to process {pid}: the dump is in its own log"
    try:
        target = str((proc / str(pid) / "fd" / "1").readlink())
    except PermissionError:
        why = refusal(pid, proc).refused
        return RefusalError(
            f"{sent}, and where that is may not be read: {why.reason}", f"{why.unlock}; or read its log"
        )
    except OSError:
        return RefusalError(sent, "read its log")
    if target.startswith("pipe:"):
        return RefusalError(f"{sent} (its output is a pipe)", "docker logs, kubectl logs, or who started it")
    if target.startswith("socket:"):
        return RefusalError(f"{sent} (its output is a socket)", f"journalctl _PID={pid}")
    return RefusalError(f"{sent} (its output is {clean(target)})", "read its log")


def _threads(text: str) -> Iterator[Thread]:
    """Each thread with its frames, innermost first, as Sidekiq's logger wrote them, plain or as JSON."""
    name, tid, frames = "", "", list[Frame]()
    for line in _messages(text):
        if head := _THREAD.search(line):
            if tid:
                yield Thread(tid, name, tuple(frames[:FRAMES]), max(0, len(frames) - FRAMES))
            name, tid, frames = clean((head["name"] or "").strip()), head["id"], []
        elif tid and (found := _FRAME.search(line)):
            frames.append(Frame(clean(found["name"]), clean(found["file"]), int(found["line"])))
    if tid:
        yield Thread(tid, name, tuple(frames[:FRAMES]), max(0, len(frames) - FRAMES))


def named_apart(threads: Sequence[Thread]) -> tuple[Thread, ...]:
    """The same, those of one name with their TID in it: all that run jobs are called alike."""
    names = Counter(one.name for one in threads if one.name)
    return tuple(replace(one, name=f"{one.name} TID-{one.id}") if names[one.name] > 1 else one for one in threads)


def _messages(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.startswith("{"):
            with suppress(ValueError, RecursionError):
                said = json.loads(line)
                if isinstance(said, dict) and isinstance(said.get("msg"), str):
                    yield from said["msg"].splitlines()
                    continue
        yield line
