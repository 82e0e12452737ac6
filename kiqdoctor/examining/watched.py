"""One process's threads looked at again and again: what stands since when, what moved, what came and went."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.threads import Thread, Threads
from kiqdoctor.doctor.hanging import Diagnosis, place, standing
from kiqdoctor.examining import dumped
from kiqdoctor.examining.dumps import GoneError, UnansweredError
from kiqdoctor.examining.folded import SHOWN, some
from kiqdoctor.examining.looking import Looked
from kiqdoctor.probes.threads.held import started_at
from kiqdoctor.probes.threads.tasks import state
from kiqdoctor.records import dataclass
from kiqdoctor.text import LONG, clean

MISSES: Final = 3  # looks in a row that show nothing
A_PAUSE: Final = 2  # times that a thread gives its core up where a look stops it to see its native frames
REST: Final = 1.0  # seconds between the end of a look and the next
REST_IN_ITS_LOG: Final = 5.0  # seconds, where each look is written into the process's own log


@dataclass(frozen=True, slots=True)
class Sample:
    """What one look at it adds to those before; ``stands`` has seconds beside each thread, ``wrong`` beside each fault.

    ``again`` are those that ran in between and are where they were, as whoever waits in a loop.
    ``new``, ``ended`` and ``over`` (what was wrong and is no longer) are against the sample before.
    """

    number: int
    after_s: float
    looked: Looked
    stands: tuple[tuple[Thread, float], ...] = ()
    again: tuple[Thread, ...] = ()
    moved: tuple[Thread, ...] = ()
    new: tuple[Thread, ...] = ()
    ended: tuple[Thread, ...] = ()
    wrong: tuple[tuple[Diagnosis, float], ...] = ()
    over: tuple[Diagnosis, ...] = ()


@dataclass(frozen=True, slots=True)
class Missed:
    """A look that showed nothing; ``partial``: for another reason than that the process has ended."""

    why: str
    partial: bool


def samples(
    target: str, look: Callable[[], Looked], seconds: float, *, proc: Path = Path("/proc"), clock: Clock = SYSTEM
) -> Iterator[Sample | Missed]:
    """A look now, and others until so many seconds are over, the process has ended, or it cannot be looked at."""
    watched, missed = Watched(), 0
    first = clock.monotonic()
    began = _began(target, proc)
    while missed < MISSES:
        try:
            looked = look()
        except UnansweredError as error:
            found: Sample | Missed = Missed(str(error), partial=True)
            gone = isinstance(error, GoneError) or _began(target, proc) != began
        else:
            found, gone = watched.sample(looked), _began(target, proc) != began
        if gone and watched.any:
            yield Missed(f"{clean(target)} has ended, after {clock.monotonic() - first:.1f} s", partial=False)
            return
        yield found
        missed = missed + 1 if isinstance(found, Missed) else 0
        rest = REST_IN_ITS_LOG if isinstance(found, Sample) and found.looked.source == "ttin" else REST
        if gone or clock.monotonic() + rest - first >= seconds:
            return
        clock.sleep(rest)


def _began(target: str, proc: Path) -> float:
    """When the process of a pid began, for the pid may become another's; 0 for one that has ended, or an identity."""
    if not target.isdigit() or state(int(target), proc) in {"zombie", "dead"}:
        return 0.0
    return started_at(proc / target)


class Watched:
    """Keeps the last sample and since when what stands, stands: no more however long it is watched."""

    def __init__(self) -> None:
        self._number = 0
        self._began = 0.0
        self._last: Threads | None = None
        self._since: dict[tuple[str, str], float] = {}
        self._wrong: dict[tuple[str, frozenset[str]], tuple[Diagnosis, float]] = {}

    @property
    def any(self) -> bool:
        """Whether there was a sample."""
        return self._last is not None

    def sample(self, looked: Looked) -> Sample:
        """What this look adds."""
        now, last = looked.threads, self._last
        self._number += 1
        self._began = self._began or now.at
        before = {_key(one): one for one in last.threads} if last is not None else {}
        here = {_key(one): one for one in now.threads}
        stood = {_key(one) for one in standing((last, now))} if last is not None else set()
        stood = {key for key in stood if key in before and before[key].jid == here[key].jid}
        again = {key for key in stood if _ran(before[key], here[key])}
        stood -= again
        self._since = {key: self._since.get(key, now.at) if key in stood else now.at for key in here}
        found = {(one.kind.value, frozenset(one.threads)): one for one in looked.diagnosis}
        over = tuple(one for key, (one, _) in self._wrong.items() if key not in found)
        self._wrong = {key: (one, self._wrong.get(key, (one, now.at))[1]) for key, one in found.items()}
        self._last = now
        first = last is None
        return Sample(
            self._number,
            now.at - self._began,
            looked,
            stands=tuple((one, now.at - self._since[key]) for key, one in here.items() if key in stood),
            again=tuple(one for key, one in here.items() if key in again),
            moved=tuple(one for key, one in here.items() if key in before and key not in stood | again),
            new=() if first else tuple(one for key, one in here.items() if key not in before),
            ended=tuple(one for key, one in before.items() if key not in here),
            wrong=tuple((one, now.at - since) for one, since in self._wrong.values()),
            over=over,
        )


def _ran(before: Thread, after: Thread) -> bool:
    """Whether it gave its core up in between, and so had it; whoever asks for the GIL again and again gets nowhere."""
    if before.yields is None or after.yields is None or (after.call is not None and after.call.gil):
        return False
    return after.yields - before.yields > A_PAUSE


def _key(one: Thread) -> tuple[str, str]:
    """Its id may be another's once it has ended; its name as well is less likely."""
    return one.id, one.name


def document(target: str, sample: Sample) -> dict[str, Any]:
    """As the document of any dump, with what was watched."""
    return {
        **dumped.document(target, sample.looked),
        "watch": {
            "sample": sample.number,
            "after_s": round(sample.after_s, 3),
            "stands": [{"id": one.id, "name": clean(one.name), "for_s": round(seconds, 3)}
                       for one, seconds in sample.stands],
            "again": [{"id": one.id, "name": clean(one.name)} for one in sample.again],
            "moved": [{"id": one.id, "name": clean(one.name)} for one in sample.moved],
            "new": [{"id": one.id, "name": clean(one.name)} for one in sample.new],
            "ended": [{"id": one.id, "name": clean(one.name)} for one in sample.ended],
        },
    }  # fmt: skip


def lines(target: str, sample: Sample) -> Iterator[str]:
    """The first sample whole; of the others what changed, what stands still and what is wrong."""
    if sample.number == 1:
        yield from dumped.lines(target, sample.looked)
        return
    yield (
        f"sample {sample.number} after {sample.after_s:.1f} s: {counted(len(sample.looked.threads.threads), 'thread')},"
        f" {len(sample.stands)} stand where they stood, {len(sample.again)} ran and are there again,"
        f" {len(sample.moved)} moved, {len(sample.new)} new,"
        f" {len(sample.ended)} ended"
    )
    for one, seconds in sample.wrong:
        yield from dumped.wrong(one, since=seconds)
    yield from (f"no longer: {one.kind.value.upper()}: {clean(one.title)}" for one in sample.over)
    if sample.ended:
        yield f"  ended: {some(map(_name, sample.ended))}"
    yield from _places("new", [(one, 0.0) for one in sample.new])
    yield from _places("moved", [(one, 0.0) for one in sample.moved])
    yield from _places("stands", sample.stands)
    yield from _places("again", [(one, 0.0) for one in sample.again])


def _places(word: str, threads: Sequence[tuple[Thread, float]]) -> Iterator[str]:
    """Those at one place together; whoever runs a job, and who stands longest, first."""
    groups: dict[tuple[str, str], list[tuple[Thread, float]]] = {}
    for one, seconds in threads:
        groups.setdefault((clean(place(one), LONG), f" for {seconds:.1f} s" if seconds else ""), []).append(
            (one, seconds)
        )
    ordered = sorted(groups.items(), key=lambda item: (not any(one.jid for one, _ in item[1]), -item[1][0][1]))
    for (where, lasting), group in ordered[:SHOWN]:
        yield f"  {word}{lasting}: {some(_job(one) for one, _ in group)} at {where}"
    if len(ordered) > SHOWN:
        rest = sum(len(group) for _, group in ordered[SHOWN:])
        yield f"  {word}: {rest} more at {len(ordered) - SHOWN} other places"


def _name(one: Thread) -> str:
    return one.name or one.id


def _job(one: Thread) -> str:
    return f"{_name(one)} ({one.job_class} {one.jid})" if one.jid else _name(one)
