"""The other ways out of a private list: each job leaves once, and what follows happens in the same step."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kiqdoctor.runtime import lua
from kiqdoctor.runtime.endings import Step
from kiqdoctor.runtime.fetching.work import Work

if TYPE_CHECKING:
    from redis import Redis


@dataclass(slots=True)
class Exit:
    """For one leaver at a time; its number grows with each use, so that a use is told again safely."""

    key: str  # of its process' exits
    name: str
    number: int = 1


class Leaving:
    """One script for all of them."""

    def __init__(self, client: "Redis") -> None:
        self._client = client
        self._script = client.register_script(lua.source("leave"))

    def leave(self, private: str, payload: bytes, steps: Sequence[Step], *, by: Exit | None = None) -> int:
        """1 where the job left, now or by this very use of the exit, and 0 where it had left before.

        Raises:
            redis.exceptions.ResponseError: its new place refused it; it lies in the private list still.
        """
        return int(self._script(*_words(private, payload, steps, by=by)))

    def leave_dead(self, private: str, payload: bytes, steps: Sequence[Step], lease: str) -> int:
        """As ``leave``, out of the list of a dead process; -1 where it turns out to live, for its lease is there.

        Raises:
            redis.exceptions.ResponseError: as above.
        """
        return int(self._script(*_words(private, payload, steps, lease=lease)))

    def each(self, leavers: Sequence[tuple[str, bytes, Sequence[Step]]]) -> list[int | Exception]:
        """Several in one round trip; 1, 0, or the refusal of its new place, for each."""
        if not leavers:
            return []
        import redis

        words = [_words(private, payload, steps) for private, payload, steps in leavers]
        replies = self._sent(words)
        unknown = [at for at, reply in enumerate(replies) if isinstance(reply, redis.exceptions.NoScriptError)]
        if unknown:  # not by redis-py's own way for pipelines, which needs SCRIPT EXISTS
            self._client.script_load(self._script.script)
            for at, reply in zip(unknown, self._sent([words[at] for at in unknown]), strict=True):
                replies[at] = reply
        return [one if isinstance(one, Exception) else int(one) for one in replies]

    def _sent(self, words: Sequence[tuple[list[str], list[Any]]]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            for keys, args in words:
                pipe.evalsha(self._script.sha, len(keys), *keys, *args)
            return list(pipe.execute(raise_on_error=False))

    def store(self, steps: Sequence[Step]) -> None:
        """The steps alone, where no private list is; together, as ever.

        Raises:
            redis.exceptions.ResponseError: the first of them was refused.
        """
        if steps:
            self._script(*_words(steps[0].key, b"", steps, held=False))


class Doors:
    """The exits of one process, each for one leaver at a time, and through which each went that has no answer yet."""

    def __init__(self, leaving: Leaving) -> None:
        self._leaving = leaving
        self._free: list[Exit] = []
        self._names = itertools.count()
        self._doubts: dict[Work, Exit] = {}  # whose leaving was asked for, and no reply was read
        self.key = ""  # of the exits in Redis, under the identity that we have

    def send(self, work: Work, steps: Sequence[Step]) -> int:
        """1 where the job left, now or when it was asked for before; 0 where it had left us.

        A request whose reply was lost is made again through the same exit and under the same number: without that, one
        that had been carried out would take an equal job with it, which may be running.
        """
        by = self._doubts.pop(work, None) or self._exit()
        try:
            # A former identity's exits are gone with its account: written anew they would be nobody's to clear away.
            left = self._leaving.leave(work.home.key, work.payload, steps, by=None if work.home.lane.retired else by)
        except BaseException:
            self._doubts[work] = by
            raise
        by.number += 1
        self._free.append(by)
        return left

    def many(self, leavers: Iterable[tuple[Work, Sequence[Step]]]) -> int:
        """Several in one round trip; how many left now. Nothing is repeated: who is in doubt looks at the lists."""
        replies = self.each(leavers)
        refused = next((one for one in replies if isinstance(one, Exception)), None)
        if refused is not None:
            raise refused
        return sum(one for one in replies if not isinstance(one, Exception))

    def each(self, leavers: Iterable[tuple[Work, Sequence[Step]]]) -> list[int | Exception]:
        """The same, with the refusal in its place where a job's new one refused it."""
        return self._leaving.each([(work.home.key, work.payload, steps) for work, steps in leavers])

    def _exit(self) -> Exit:
        try:
            by = self._free.pop()
        except IndexError:
            return Exit(self.key, str(next(self._names)))
        by.key = self.key
        return by


def _words(
    private: str, payload: bytes, steps: Sequence[Step], *, lease: str = "", by: Exit | None = None, held: bool = True
) -> tuple[list[str], list[Any]]:
    keys = [private, lease or private, by.key if by else private]
    args: list[Any] = [
        payload,
        "dead" if lease else "" if held else "free",
        by.name if by else "",
        by.number if by else "",
    ]
    for step in steps:
        keys.append(step.key)
        args += [step.name, len(keys), len(step.words), *step.words]
    return keys, args
