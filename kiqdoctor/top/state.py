"""What the view knows, and which moment of it is shown. No screen, no thread, no Redis."""

from collections.abc import Mapping
from typing import Final

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.facts.live import Workers
from kiqdoctor.top import words
from kiqdoctor.top.doctoring import Diagnosis, deaths, follow
from kiqdoctor.top.feed import Look, Recorded, Watched, WholeExamination
from kiqdoctor.top.history import History, read
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.unusual import Durations

MINUTE: Final = 60.0  # seconds
MOST: Final = 400  # diagnoses that are kept for looking back
SHARE: Final = 100  # an examination's own duration times this passes before the next: a hundredth of a core


class ViewState:
    """Readings, findings, troubles, and the moment that is shown: now, or one that was chosen."""

    def __init__(
        self, target: Watched, clock: Clock, *, interval: float, examine_every: float, rhythms: Mapping[type, float]
    ) -> None:
        self.target, self._clock, self._rhythms = target, clock, rhythms
        self._interval, self._examine_every = interval, examine_every
        self.history = History(thin=not target.recorded)
        self.durations = Durations()
        self.examination: WholeExamination | None = None
        self.diagnosis: Diagnosis | None = None
        self.trouble = ""
        self.at: float | None = None  # the moment that is shown; None: now
        self.playing = False
        self._diagnoses: list[Diagnosis] = []
        self._lost_at = self._read_at = self._began_at = 0.0  # local time
        self._looked_at = 0.0  # monotonic

    def found(self, look: Look) -> str:
        """Another reading; what is to be told of it."""
        told = f"Redis is back after {words.age(self._clock.now() - self._lost_at)}" if self.trouble else ""
        self.trouble, self._read_at, self._looked_at = "", self._clock.now(), self._clock.monotonic()
        self.history.add(look)
        workers = read(look.snapshot, Workers)
        if isinstance(workers, Workers):
            self.durations.observe(workers)
        return told

    def look_due(self) -> bool:
        """Whether it is time for the next: a Redis whose look took longer than the interval rests for as long."""
        took_s = self.history.looks[-1].took_ms / 1000 if self.history.looks else 0.0
        return took_s <= self._interval or self._clock.monotonic() - self._looked_at >= took_s

    def lost(self, trouble: str) -> str:
        """Redis is away; what is to be told of it, once."""
        first, self.trouble = not self.trouble, trouble
        self.history.lost(self.now)
        if not first:
            return ""
        self._lost_at = self._clock.now()
        return f"Redis cannot be reached: {trouble}; trying again"

    def examined(self, examination: WholeExamination) -> list[str]:
        """Another examination; the titles of what is new in it."""
        self.examination = examination
        dead = deaths(examination.snapshot)
        self._diagnosed(follow(self.diagnosis, examination.report, self.now, dead))
        diagnosis = self.diagnosis
        assert diagnosis is not None  # noqa: S101 - it was just made
        return [one.finding.title for _, one in diagnosis.findings if diagnosis.since[one.fingerprint] == diagnosis.at]

    def load(self, recorded: Recorded) -> None:
        """Recordings in place of readings; the first is shown."""
        for look in recorded.looks:
            self.history.add(look)
            if look.report is not None:
                self._diagnosed(follow(self.diagnosis, look.report, look.at, deaths(look.snapshot)))
        self.at = recorded.looks[0].at

    def _diagnosed(self, diagnosis: Diagnosis) -> None:
        self.diagnosis = diagnosis
        self._diagnoses = [*self._diagnoses[-MOST:], diagnosis]

    def examining(self) -> None:
        """An examination begins."""
        self._began_at = self._clock.now()

    def examination_due(self) -> bool:
        """Whether it is time for the next, since the last one ended, or failed."""
        took = self.diagnosis.report.duration_s if self.diagnosis is not None else 0.0
        return self._clock.now() - self._began_at - took >= max(self._examine_every, SHARE * took)

    @property
    def now(self) -> float:
        """Redis' time, as the last reading told it."""
        looks = self.history.looks
        if not looks:
            return self._clock.now()
        return looks[-1].at + (0.0 if self.target.recorded else self._clock.now() - self._read_at)

    @property
    def index(self) -> int | None:
        """Which look is shown."""
        looks = self.history.looks
        return (len(looks) - 1 if looks else None) if self.at is None else self.history.index_at(self.at)

    @property
    def shown(self) -> Scene:
        """What is shown now, or at the moment that was chosen."""
        now, index = self.now if self.at is None else self.at, self.index
        then = [self.diagnosis] if self.at is None else [one for one in self._diagnoses if one.at <= now]
        return Scene(
            target=self.target,
            look=self.history.looks[index] if index is not None else None,
            now=now,
            local_now=self._clock.now(),
            interval=self._interval,
            behind=None if self.at is None else self.now - self.at,
            trouble=self.trouble,
            samples=self.history.samples,
            diagnosis=then[-1] if then else None,
            durations=self.durations,
            rhythms=self._rhythms,
            past=self.history.looks[: index + 1] if index is not None else (),
        )

    def pause(self) -> None:
        """Stand still, or go on; recordings play."""
        if self.target.recorded:
            self.playing = not self.playing
        else:
            self.at = self.now if self.at is None else None

    def step(self, looks: int) -> None:
        """So many looks on, or back; past the last one it is now again. Those of one time are one."""
        if (index := self.index) is None:
            return
        known = self.history.looks
        wanted = index + looks
        while 0 < wanted < index and known[wanted].at >= known[index].at:
            wanted -= 1
        self._go_to(wanted)

    def step_minutes(self, minutes: int) -> None:
        """The same by time."""
        looks = self.history.looks
        if looks:
            wanted = (self.now if self.at is None else self.at) + minutes * MINUTE
            past_the_end = minutes > 0 and wanted >= looks[-1].at
            self._go_to(len(looks) if past_the_end else self.history.index_at(wanted) or 0)

    def _go_to(self, index: int) -> None:
        looks = self.history.looks
        if index < len(looks):
            self.at = looks[max(index, 0)].at
        else:
            self.at, self.playing = (looks[-1].at if self.target.recorded else None), False
