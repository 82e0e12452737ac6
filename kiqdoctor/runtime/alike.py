"""Ends that are alike: what goes with them is written once, and of each job only its own words.

It says what the steps of each would say, since ``endings`` writes those here too, for a job whose words are marks.
"""

import os
from typing import Any, Final, Protocol

import msgspec

from kiqdoctor.runtime.endings import End, EndOptions, Step, consequences
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import Payload, Plain

KINDS: Final = 1_000  # that are kept: each batch has its own

_OURS: Final = f"\0{os.urandom(8).hex()} "  # nobody's batch is called so
_JID, _AT, _LOCK, _SCORE, _RAW = _MARKS = tuple(_OURS + word for word in ("jid", "at", "lock", "score", "raw"))
"""What stands for a job's own words while a pattern is written, in the order in which those come."""

Part = tuple[str, str, int, tuple[int, ...], tuple[Any, ...]]
"""One command of a pattern, as fetch.lua reads it.

Its name, its key, which of a job's words its key ends in (0 for none), pairs of which of its further words is which of
those (all from 1 on), its further words.
"""


class Alike(msgspec.Struct, frozen=True, eq=False):
    """What goes with the ends of many jobs."""

    pattern: tuple[Part, ...]


class Likewise(msgspec.Struct, frozen=True, gc=False):
    """An end like many others: ``words`` are this job's own."""

    alike: Alike
    words: tuple[str, ...]
    end: End = End.DONE

    @property
    def steps(self) -> tuple[Step, ...]:
        """As if it had been written by itself."""
        found = []
        for name, key, at, places, words in self.alike.pattern:
            filled = list(words)
            for place, number in zip(places[::2], places[1::2], strict=True):
                filled[place - 1] = self.words[number - 1]
            found.append(Step(name, key + self.words[at - 1] if at else key, tuple(filled)))
        return tuple(found)


class JobClass(Protocol):
    """What must be known of a class."""

    @property
    def name(self) -> str:
        """On the wire."""

    @property
    def options(self) -> EndOptions:
        """What goes with its ends."""


class Kinds:
    """The ends that this process has met, by class, batch, and whether there is a lock."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._known: dict[tuple[JobClass, str | None, bool, End], Alike] = {}

    def of(self, job: JobClass, payload: Plain, end: End) -> Alike:
        """Of a job without a place; its words are jid, time, lock, and, where it is tried again, score and payload."""
        kind = (job, payload.batch, payload.lock is None, end)
        found = self._known.get(kind)
        if found is None:
            if len(self._known) >= KINDS:
                self._known.clear()
            found = self._known[kind] = self._written(job, payload, end)
        return found

    def _written(self, job: JobClass, payload: Plain, end: End) -> Alike:
        some = _Any(job.name, payload.batch, _LOCK if payload.lock is not None else None)
        stored = (Step("ZADD", self._keys.retry, (_SCORE, _RAW)),) if end is End.RETRY else ()
        return Alike(tuple(map(_part, (*stored, *consequences(self._keys, end, some, job.options, "", _AT)))))


class _Any(msgspec.Struct, frozen=True):
    """Some job of a class, with what is another job's own left open."""

    job_class: str
    batch: str | None
    lock: str | None
    jid: str = _JID

    def following(self, now: float) -> Payload | None:
        """Nothing: what follows is no job's that ends as others do."""


def _part(step: Step) -> Part:
    at = next((number for number, mark in enumerate(_MARKS, 1) if step.key.endswith(mark)), 0)
    places = [(place, _MARKS.index(word) + 1) for place, word in enumerate(step.words, 1) if word in _MARKS]
    flat = tuple(number for pair in places for number in pair)
    return step.name, step.key.removesuffix(_MARKS[at - 1]) if at else step.key, at, flat, step.words
