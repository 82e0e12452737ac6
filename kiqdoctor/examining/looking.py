"""What a look at one process's threads came to: its own words beside what was seen from outside."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.threads import Thread, Threads
from kiqdoctor.doctor.hanging import Diagnosis, Kind, diagnosed, in_doubt, unexplained
from kiqdoctor.examining.folded import some
from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class Looked:
    """What one look came to: the threads as they were last, what is wrong; ``source`` is a word of the contract's.

    ``partial`` says what is missing of it and what would help; "" where nothing is. ``doubts`` are threads that waited
    for a lock in every look, where nobody tells who holds it; ``stood`` those that got no further, for whatever reason.
    """

    threads: Threads
    diagnosis: tuple[Diagnosis, ...] = ()
    source: str = "py-spy"
    partial: str = ""
    doubts: tuple[str, ...] = ()
    stood: tuple[str, ...] = ()
    once: bool = False  # one look alone, in which whatever waits may be passing

    @property
    def doubt(self) -> str:
        """In a sentence; "" where there is none, or the diagnosis says more."""
        if self.diagnosis:
            return ""
        if self.stood:
            told = f"{counted(len(self.stood), 'thread')} got no further from look to look, whatever the reason"
            return f"{told}: {some(self.stood)}"
        if not self.doubts:
            return ""
        told = (
            f"{counted(len(self.doubts), 'thread')} waited for a lock in each look, and Ruby does not tell who holds it"
        )
        return f"{told}: {some(self.doubts)}"


def judged(looks: Sequence[Threads], source: str = "py-spy") -> Looked:
    """The last of them, and what all of them tell."""
    wrong = diagnosed(looks)
    return Looked(
        looks[-1],
        wrong,
        source,
        doubts=in_doubt(looks),
        stood=unexplained(looks, wrong),
        once=len(looks) == 1,
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
        libraries=seen.libraries, yields=seen.yields,
    )  # fmt: skip
