"""Queues with threads of their own, and the order in which they are asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kiqdoctor.wire.heartbeat import Capsule as Wire


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

    @property
    def wire(self) -> Wire:
        """As the heartbeat tells it."""
        return Wire(self.name, self.concurrency, self.queues)


def parse_queues(words: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """``NAME`` or ``NAME,WEIGHT`` of the command line.

    Raises:
        ValueError: an empty name, or a weight that is no positive number.
    """
    found = []
    for word in words or ("default",):
        name, separator, weight = word.partition(",")
        if not name or (separator and (not weight.isdigit() or int(weight) < 1)):
            raise ValueError(f"a queue is NAME or NAME,WEIGHT, not {word!r}")
        found.append((name, int(weight or 0)))
    return tuple(found)
