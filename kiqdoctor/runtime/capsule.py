"""Queues with threads of their own, and the order in which they are asked."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kiqdoctor.wire.heartbeat import CapsuleEntry

MOST_THREADS = 1000


@dataclass(frozen=True, slots=True)
class Capsule:
    """``queues``: name and weight; no weights at all mean strict order, as Sidekiq has it."""

    name: str
    concurrency: int
    queues: tuple[tuple[str, int], ...] = (("default", 0),)

    @property
    def names(self) -> tuple[str, ...]:
        """Queue names, once each."""
        return tuple(dict.fromkeys(name for name, _ in self.queues))

    @property
    def strict(self) -> bool:
        """Whether the order is always the one that was given."""
        return all(weight == 0 for _, weight in self.queues)

    def order(self, shuffle: Callable[[list[str]], None]) -> tuple[str, ...]:
        """The order for one fetch: as given, or drawn by weight."""
        if self.strict:
            return self.names
        drawn = [name for name, weight in self.queues for _ in range(max(1, weight))]
        shuffle(drawn)
        return tuple(dict.fromkeys(drawn))

    def shares(self, wanted: int, draw: Callable[[], float]) -> list[tuple[int, str, int]]:
        """For one fetch of ``wanted`` jobs: each queue's place, name and share, in the order in which they are asked.

        Drawn by weight as Sidekiq draws the order of each single fetch, and the share is the weight's part of what is
        wanted, so that a batch is divided as so many single fetches would be.
        """
        weights = {name: max(1, weight) for name, weight in self.queues}
        total = sum(weights.values())
        # Efraimidis and Spirakis: the greatest u ** (1 / w) comes first with probability w / total, and so on.
        drawn = sorted(enumerate(self.names), key=lambda one: draw() ** (1 / weights[one[1]]), reverse=True)
        return [(place, name, max(1, round(wanted * weights[name] / total))) for place, name in drawn]

    @property
    def wire(self) -> CapsuleEntry:
        """As the heartbeat tells it."""
        return CapsuleEntry(self.name, self.concurrency, self.queues)


def parse_queues(words: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """``NAME`` or ``NAME,WEIGHT`` of the command line.

    Raises:
        ValueError: an empty name, or a weight that is no positive number; one name where a list is meant.
    """
    if isinstance(words, str):  # each of its letters would be a queue
        raise ValueError(f"queues is a list of names, as in queues=[{words!r}], not {words!r}")
    found = []
    for word in words or ("default",):
        name, separator, weight = word.partition(",")
        if not name or (separator and (not weight.isdigit() or int(weight) < 1)):
            raise ValueError(f"a queue is NAME or NAME,WEIGHT, not {word!r}")
        found.append((name, int(weight or 0)))
    return tuple(found)


def with_others(first: Capsule, words: Sequence[str]) -> tuple[Capsule, ...]:
    """``first``, and those of the command line, each ``NAME:THREADS:QUEUE,QUEUE`` in strict order.

    Raises:
        ValueError: another form, a name that is taken, or no number of threads.
    """
    found = [first, *map(_parse, words)]
    names = [one.name for one in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"two capsules are called {twice}")
    return tuple(found)


def _parse(word: str) -> Capsule:
    name, _, rest = word.partition(":")
    threads, _, queues = rest.partition(":")
    names = queues.split(",")
    if not name or not all(names) or not re.fullmatch("[0-9]{1,4}", threads) or not 1 <= int(threads) <= MOST_THREADS:
        raise ValueError(f"a capsule is NAME:THREADS:QUEUE,QUEUE with 1 to {MOST_THREADS} threads, not {word!r}")
    return Capsule(name, int(threads), tuple((one, 0) for one in dict.fromkeys(names)))
