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
_JID, _LOCK, _AT, _SCORE, _TAIL = (_OURS + word for word in ("jid", "lock", "at", "score", "tail"))
"""What stands for a job's own words while a pattern is written."""
_WORDS: Final = {End.DONE: (_JID, _LOCK, _AT), End.RETRY: (_SCORE, _TAIL, _JID, _AT)}
"""The order in which those come, the last of them where they are asked for."""

Part = tuple[str, str, int, tuple[int, ...], tuple[Any, ...]]
"""One command of a pattern, as fetch.lua reads it.

Its name, its key, which of a job's words its key ends in (0 for none), pairs of which of its further words is which of
those (all from 1 on; below 0 where it is the payload with that word in the place of its last byte), its further words.
"""


class Alike(msgspec.Struct, frozen=True, eq=False):
    """What goes with the ends of many jobs."""

    pattern: tuple[Part, ...]


class Likewise(msgspec.Struct, frozen=True, gc=False):
    """An end like many others: ``words`` are the own ones of the job with these bytes."""

    alike: Alike
    words: tuple[str, ...]
    raw: bytes
    end: End = End.DONE

    @property
    def steps(self) -> tuple[Step, ...]:
        """As if it had been written by itself."""
        found = []
        for name, key, at, places, words in self.alike.pattern:
            filled = list(words)
            for place, number in zip(places[::2], places[1::2], strict=True):
                word = self.words[abs(number) - 1]
                filled[place - 1] = word if number > 0 else self.raw[:-1] + word.encode()
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
        self._again: dict[JobClass, Alike] = {}  # of failures in no batch, most of all

    def done(self, job: JobClass, payload: Plain, raw: bytes, now: float) -> Likewise:
        """Of a job that came to its end, and has no place."""
        words: tuple[str, ...] = (payload.jid,) if payload.lock is None else (payload.jid, payload.lock)
        if job.options.status:
            words = (payload.jid, payload.lock or "", repr(now))
        return Likewise(self._of(job, payload, End.DONE), words, raw)

    def tried_again(self, job: JobClass, payload: Plain, raw: bytes, score: str, tail: str, now: float) -> Likewise:
        """Of one without a place that failed; ``tail`` is what its payload ends in from then on, instead of a brace."""
        alike = self._again.get(job) if payload.batch is None else self._of(job, payload, End.RETRY)
        if alike is None:
            alike = self._again[job] = self._of(job, payload, End.RETRY)
        words = (score, tail, payload.jid, repr(now)) if job.options.status else (score, tail, payload.jid)
        return Likewise(alike, words, raw, End.RETRY)

    def _of(self, job: JobClass, payload: Plain, end: End) -> Alike:
        kind = (job, payload.batch, payload.lock is None, end)
        found = self._known.get(kind)
        if found is None:
            if len(self._known) >= KINDS:
                self._known.clear()
            found = self._known[kind] = self._written(job, payload, end)
        return found

    def _written(self, job: JobClass, payload: Plain, end: End) -> Alike:
        some = _Any(job.name, payload.batch, _LOCK if payload.lock is not None else None)
        stored = (Step("ZADD", self._keys.retry, (_SCORE, _TAIL)),) if end is End.RETRY else ()
        steps = (*stored, *consequences(self._keys, end, some, job.options, "", _AT))
        return Alike(tuple(_part(step, _WORDS[end]) for step in steps))


class _Any(msgspec.Struct, frozen=True):
    """Some job of a class, with what is another job's own left open."""

    job_class: str
    batch: str | None
    lock: str | None
    jid: str = _JID

    def following(self, now: float) -> Payload | None:
        """Nothing: what follows is no job's that ends as others do."""


def _part(step: Step, marks: tuple[str, ...]) -> Part:
    at = next((number for number, mark in enumerate(marks, 1) if step.key.endswith(mark)), 0)
    flat: list[int] = []
    for place, word in enumerate(step.words, 1):
        if word in marks:
            number = marks.index(word) + 1
            flat += (place, -number if word is _TAIL else number)
    return step.name, step.key.removesuffix(marks[at - 1]) if at else step.key, at, tuple(flat), step.words
