"""Redis' own slow log: which command, on which key, for how long; never the values of its arguments."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from kiqdoctor.connection import Command
from kiqdoctor.doctor.facts.live import SlowCall, SlowLog
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.probes.asking import number
from kiqdoctor.probes.live.reader import LiveReader, must
from kiqdoctor.text import clean, decode

MOST: Final = 50
KEYLESS: Final = frozenset(
    {"AUTH", "HELLO", "ACL", "CONFIG", "EVAL", "EVALSHA", "SCRIPT", "MIGRATE", "CLIENT", "DEBUG"}
)
"""Commands whose first argument is no key, and may be a secret or a script."""


class SlowLogReader(LiveReader):
    """While somebody looks."""

    fact: ClassVar[type] = SlowLog
    every: ClassVar[float] = 5.0

    def asks(self) -> Sequence[Command]:
        """The last calls, and how many are kept."""
        return [("SLOWLOG", "GET", MOST), ("SLOWLOG", "LEN")]

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> SlowLog:
        """Newest first."""
        del now, seen
        entries, length = replies
        return SlowLog(tuple(_call(entry) for entry in must(entries)), number(length))


def _call(entry: list[Any]) -> SlowCall:
    number_, at, took, words = entry[:4]
    address, name = (decode(one) for one in entry[4:6]) if len(entry) > 5 else ("", "")  # noqa: PLR2004 - from 4.0 on
    return SlowCall(number_, float(at), took, clean(_shown(words)), len(words), clean(address), clean(name))


def _shown(words: list[bytes]) -> str:
    command = decode(words[0]).upper() if words else ""
    key = decode(words[1]) if len(words) > 1 and command not in KEYLESS else ""
    return f"{command} {key}".strip()
