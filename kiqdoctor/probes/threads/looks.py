"""Looks at the threads of a Python process several times, as closely as it allows."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.threads import FROZEN, Threads
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.probes.threads.attach import fields
from kiqdoctor.probes.threads.held import Sources, started_at
from kiqdoctor.probes.threads.stacks import native, stacks
from kiqdoctor.probes.threads.tasks import state

LOOKS: Final = 3
BETWEEN: Final = 0.5  # seconds from one to the next
REST: Final = 0.1  # seconds at least, where a look alone takes long, as on a busy host
PER_LOOK: Final = 3.0  # seconds that one may take
IN_ALL: Final = 5.0  # seconds, for all of them
LEAST: Final = 0.5  # seconds, without which another is not begun
A_THREAD: Final = 0.01  # seconds more for each thread beyond FEW, for the first two looks
FEW: Final = 100  # threads
PAUSABLE: Final = 200  # threads: what finds native libraries pauses the process the longer the more it has
HALTED: Final = frozenset({"stopped", "tracing stop", FROZEN})
"""In which nothing of a process moves, and one look at its stacks shows all that others would."""
AGAIN: Final = 4  # times that its state is read again: who limits a process's CPU stops it ten times a second
SOON: Final = 0.12  # seconds between them
PAUSED: Final = frozenset({"disk sleep", "zombie", "dead"}) | HALTED
SLEEPING_CALLS: Final = frozenset({"clock_nanosleep", "nanosleep", "restart_syscall"})
"""The last is what a sleep that a look has paused is called from then on."""


def looks(pid: int, proc: Path, clock: Clock = SYSTEM) -> tuple[Threads, ...] | Refused:
    """Its threads at several moments, from outside; one look only where a later one does not succeed."""
    found: list[Threads] = []
    more = max(0, _count(pid, proc) - FEW) * A_THREAD
    sources = Sources(proc / str(pid), started_at(proc / str(pid)))
    began, took = clock.monotonic(), LEAST
    enough, ends = began + IN_ALL, began + IN_ALL + more
    for number in range(LOOKS):
        if number:
            clock.sleep(max(BETWEEN - (clock.monotonic() - began), REST))
        began = clock.monotonic()
        left = ends - began
        if len(found) > 1 and began + took > enough:  # two tell what stands still; the third is for what passes
            break
        try:
            found.append(stacks(pid, proc=proc, within_s=min(PER_LOOK + more, max(left, LEAST)), closely=sources))
            took = max(took, clock.monotonic() - began)
        except RefusalError as error:
            if not found:
                return error.refused
            break
        if number == 0 and _stays_halted(found[0], pid, proc, clock):
            break
    if found[-1].state not in PAUSED and len(found[-1].threads) <= PAUSABLE and _in_native_code(found):
        found[-1] = _natively(found[-1], pid, proc, min(PER_LOOK, max(ends - clock.monotonic(), LEAST)))
    return tuple(found)


def _stays_halted(seen: Threads, pid: int, proc: Path, clock: Clock) -> bool:
    """Whether it was, and is each time that its state is read again."""
    for _ in range(AGAIN if seen.state in HALTED else 0):
        clock.sleep(SOON)
        if state(pid, proc) not in HALTED:
            return False
    return seen.state in HALTED


def _count(pid: int, proc: Path) -> int:
    words = fields(proc / str(pid) / "status").get("Threads", "0").split()
    return int(words[0])


def _natively(seen: Threads, pid: int, proc: Path, patience: float) -> Threads:
    """The same with the native libraries of each thread, or why they could not be seen."""
    try:
        libraries = native(pid, proc, patience=patience)
    except RefusalError as error:
        return replace(seen, note=f"{seen.note}; {error.refused.reason}")
    return replace(seen, threads=tuple(replace(one, libraries=libraries.get(one.id, ())) for one in seen.threads))


def _in_native_code(found: Sequence[Threads]) -> bool:
    """Whether which library a thread is in would explain something: it sleeps, or has the GIL, where it did before."""
    before = {one.id: one for one in found[0].threads}
    return len(found) > 1 and any(
        one.id in before
        and one.frames[:1] == before[one.id].frames[:1]
        and (one.owns_gil or (one.call is not None and one.call.name in SLEEPING_CALLS))
        for one in found[-1].threads
    )
