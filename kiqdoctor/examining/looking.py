"""Looks at the threads of one process of this host several times, as closely as it allows, and says what is wrong."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.threads import Thread, Threads
from kiqdoctor.doctor.hanging import Diagnosis, Kind, diagnosed
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused

LOOKS: Final = 3
BETWEEN: Final = 0.5  # seconds
PER_LOOK: Final = 3.0  # seconds that one may take
PAUSED: Final = frozenset({"stopped", "tracing stop", "disk sleep", "zombie", "dead"})
SLEEPING_CALLS: Final = frozenset({"clock_nanosleep", "nanosleep"})


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look came to: the threads as they were last, what is wrong; ``source`` is a word of the contract's.

    ``partial`` says what is missing of it and what would help; "" where nothing is.
    """

    threads: Threads
    diagnosis: tuple[Diagnosis, ...] = ()
    source: str = "py-spy"
    partial: str = ""


def looks(pid: int, proc: Path, clock: Clock = SYSTEM) -> tuple[Threads, ...] | Refused:
    """Its threads at several moments, from outside; one look only where a later one does not succeed."""
    from kiqdoctor.probes.threads.stacks import native, stacks

    found: list[Threads] = []
    for number in range(LOOKS):
        if number:
            clock.sleep(BETWEEN)
        try:
            found.append(stacks(pid, proc=proc, within_s=PER_LOOK, closely=True))
        except RefusalError as error:
            if not found:
                return error.refused
            break
    if found[-1].state not in PAUSED and _in_native_code(found):
        libraries = native(pid, patience=PER_LOOK)
        found[-1] = replace(
            found[-1], threads=tuple(_with(one, libraries.get(one.id, ())) for one in found[-1].threads)
        )
    return tuple(found)


def _with(one: Thread, libraries: tuple[str, ...]) -> Thread:
    return replace(one, libraries=libraries)


def _in_native_code(found: Sequence[Threads]) -> bool:
    """Whether which library a thread is in would explain something: it sleeps, or has the GIL, where it did before."""
    before = {one.id: one for one in found[0].threads}
    return len(found) > 1 and any(
        one.id in before
        and one.frames[:1] == before[one.id].frames[:1]
        and (one.owns_gil or (one.call is not None and one.call.name in SLEEPING_CALLS))
        for one in found[-1].threads
    )


def unable(found: Sequence[Threads]) -> bool:
    """Whether the process cannot answer whoever asks it: it is stopped, or one of its threads has the GIL for good."""
    return any(one.kind in {Kind.STOPPED, Kind.GIL_HOG} for one in diagnosed(found))


class Asking:
    """Asks in a thread of its own, so that looking need not wait for the answer."""

    def __init__(self, ask: Callable[[], Threads]) -> None:
        self._ask = ask
        self._answer: Threads | Exception | None = None
        self._thread = threading.Thread(target=self._run, daemon=True, name="kiq.asking")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except Exception as error:  # noqa: BLE001 - raised again where it is waited for
            self._answer = error

    def answer(self) -> Threads:
        """Its own words; raises what asking raised."""
        self._thread.join()
        if isinstance(self._answer, Exception):
            raise self._answer
        assert self._answer is not None  # noqa: S101 - one of the two by now
        return self._answer


def merged(own: Threads, outside: Sequence[Threads]) -> tuple[Threads, ...]:
    """Looks from outside and, as the last, the process's own words with what the kernel says of the same threads."""
    if not outside:
        return (own,)
    last = {one.id: one for one in outside[-1].threads}
    threads = tuple(_both(one, last[one.id]) if one.id in last else one for one in own.threads)
    whole = replace(own, threads=threads, state=outside[-1].state, at=max(own.at, outside[-1].at))
    return (*(replace(one, deadlocks=(), threads=tuple(_bare(some) for some in one.threads)) for one in outside), whole)


def _bare(one: Thread) -> Thread:
    """Without locks, which the process itself tells better."""
    return replace(one, holds=(), waits="")


def _both(own: Thread, seen: Thread) -> Thread:
    return replace(
        own, active=seen.active, owns_gil=seen.owns_gil, state=seen.state, cpu_s=seen.cpu_s, call=seen.call,
        libraries=seen.libraries,
    )  # fmt: skip
