"""Redis' own slow log: which command, on which key, for how long; never the values of its arguments."""

from typing import Any, Final

from kiqdoctor.doctor.facts.live import SlowCall, SlowLog
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import number
from kiqdoctor.text import clean, decode

MOST: Final = 50
KEYLESS: Final = frozenset(
    {"AUTH", "HELLO", "ACL", "CONFIG", "EVAL", "EVALSHA", "SCRIPT", "MIGRATE", "CLIENT", "DEBUG"}
)
"""Commands whose first argument is no key, and may be a secret or a script."""


def slow_log(redis: Redis) -> SlowLog:
    """The last calls, newest first."""
    entries, length = redis.ask_all([("SLOWLOG", "GET", MOST), ("SLOWLOG", "LEN")])
    if isinstance(entries, Refused):
        raise RefusalError(entries.reason, entries.unlock)
    return SlowLog(tuple(_call(entry) for entry in entries), number(length))


def _call(entry: list[Any]) -> SlowCall:
    number_, at, took, words = entry[:4]
    address, name = (decode(one) for one in entry[4:6]) if len(entry) > 5 else ("", "")  # noqa: PLR2004 - from 4.0 on
    return SlowCall(number_, float(at), took, clean(_shown(words)), len(words), clean(address), clean(name))


def _shown(words: list[bytes]) -> str:
    command = decode(words[0]).upper() if words else ""
    key = decode(words[1]) if len(words) > 1 and command not in KEYLESS else ""
    return f"{command} {key}".strip()
