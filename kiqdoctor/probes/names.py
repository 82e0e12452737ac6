"""The names of a database's keys, by one SCAN for all probes of a round."""

import time
from collections.abc import Iterator
from typing import Final
from weakref import WeakKeyDictionary

from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import PAGE
from kiqdoctor.records import dataclass
from kiqdoctor.text import decode

MOST_KEYS: Final = 500_000  # names in one scan
MOST_SECONDS: Final = 3.0  # of scanning one database
KEPT_FOR: Final = 20.0  # seconds: a name only says where to look, and what lies there is read anew


@dataclass(frozen=True, slots=True)
class Names:
    """Key names, whether these are all, and when they were seen (monotonic)."""

    all: tuple[bytes, ...]
    complete: bool
    at: float

    def under(self, prefix: str) -> Iterator[str]:
        """What follows this prefix, of every name that has it."""
        head = prefix.encode()
        return (decode(name[len(head) :]) for name in self.all if name.startswith(head))

    @property
    def shortfall(self) -> str:
        """Why a key may be missing among them; "" where none is."""
        return "" if self.complete else f"only {len(self.all)} keys of the database were looked at"


_KEPT: "Final[WeakKeyDictionary[Redis, Names]]" = WeakKeyDictionary()


def shared(redis: Redis) -> Names:
    """The names of the examined database; the probes that come one after the other share one scan."""
    kept = _KEPT.get(redis)
    if kept is None or time.monotonic() - kept.at > KEPT_FOR:
        _KEPT[redis] = kept = scanned(redis)
    return kept


def scanned(redis: Redis) -> Names:
    """The names of the database that is selected now, within the budget."""
    seen: dict[bytes, None] = {}
    cursor: bytes | int = 0
    deadline = time.monotonic() + MOST_SECONDS
    while True:
        cursor, page = redis.ask("SCAN", cursor, "COUNT", PAGE)
        seen.update(dict.fromkeys(page))
        now = time.monotonic()
        if cursor in {b"0", 0}:
            return Names(tuple(seen), complete=True, at=now)
        if len(seen) > MOST_KEYS or now > deadline:
            return Names(tuple(seen), complete=False, at=now)
