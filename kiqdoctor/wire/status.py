"""A job's status as its hash shows it: what our runtime tells of a job to those who ask."""

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType
from typing import Any, Final

from kiqdoctor.records import dataclass
from kiqdoctor.wire import codec
from kiqdoctor.wire.keys import STATUS_TTL
from kiqdoctor.wire.numbers import real, whole

STATE: Final = "state"  # the hash's fields
VERSION: Final = "version"  # grows with each change
AT: Final = "at"  # epoch seconds of the last change
DONE: Final = "done"  # how far it is, of how much
TOTAL: Final = "total"
RESULT: Final = "result"  # JSON
TASK: Final = "task"  # JSON: what Django tells of one of its tasks

QUEUED: Final = "queued"
SCHEDULED: Final = "scheduled"
RUNNING: Final = "running"
ENDED: Final = frozenset({"done", "dead", "gone"})


@dataclass(frozen=True, slots=True)
class JobState:
    """``state``: queued, scheduled, running, retry, done, dead, gone; ``at``: epoch seconds of the last change.

    ``result``: what a job with ``result_ttl`` returned.
    """

    state: str
    version: int
    at: float
    done: int = 0
    total: int = 0
    result: Any = None

    @property
    def ended(self) -> bool:
        """Whether it will not change any more, unless somebody else runs the job again."""
        return self.state in ENDED


def read(found: Mapping[bytes, bytes]) -> JobState | None:
    """The hash as it is; None where there is none.

    Raises:
        ValueError: a result that is no JSON.
    """
    if not found:
        return None
    words = {name.decode(errors="replace"): value.decode(errors="replace") for name, value in found.items()}
    return JobState(
        words.get(STATE, ""),
        whole(words.get(VERSION)) or 0,
        real(words.get(AT)) or 0.0,
        whole(words.get(DONE)) or 0,
        whole(words.get(TOTAL)) or 0,
        codec.decode(words.get(RESULT, "null")),
    )


More = Mapping[str, int | bytes]
"""Fields that are told beside the state."""
NOTHING: Final[More] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is told of a job that is done beside that, and for how many seconds from then."""

    more: More = field(default_factory=lambda: NOTHING)
    keep: int = STATUS_TTL


NOTHING_MORE: Final = Outcome()


def change(state: str, at: str, more: More | None = None) -> tuple[str | bytes | int, ...]:
    """Names and values of what is written at a change, but for the version; ``at`` as a number is spelt."""
    return (STATE, state, AT, at, *(part for pair in (more or {}).items() for part in pair))
