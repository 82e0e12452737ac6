"""The moment that the screen shows, which every tab draws from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kiqdoctor.doctor.snapshot import Reading
from kiqdoctor.top.doctoring import Diagnosis
from kiqdoctor.top.feed import Look, Watched
from kiqdoctor.top.history import Numbers
from kiqdoctor.top.unusual import Durations


@dataclass(frozen=True)
class Scene:
    """A look, the numbers until then, the findings. ``now`` is Redis' time of it.

    ``behind``: seconds before the present, None while it is live. ``rhythms``: seconds between two readings of a fact,
    0 where each look reads it. ``past``: the looks up to this one.
    """

    target: Watched
    look: Look | None = None
    now: float = 0.0
    local_now: float = 0.0
    interval: float = 1.0
    behind: float | None = None
    trouble: str = ""
    samples: Sequence[Numbers] = ()
    diagnosis: Diagnosis | None = None
    durations: Durations = field(default_factory=Durations)
    rhythms: Mapping[type, float] = field(default_factory=dict)
    past: Sequence[Look] = ()

    @property
    def live(self) -> bool:
        """The present, of an installation that is there."""
        return self.behind is None and not self.target.recorded

    def reading(self, kind: type) -> Reading | None:
        """A fact's reading."""
        return self.look.snapshot.readings.get(kind) if self.look is not None else None

    def readings(self, kind: type) -> Iterator[Reading]:
        """Each reading of a fact that is kept, the newest first."""
        last: Reading | None = None
        for look in reversed(self.past):
            found = look.snapshot.readings.get(kind)
            if found is not None and found is not last:
                last = found
                yield found
