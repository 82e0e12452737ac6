"""Points in time as the wire has them: float seconds before Sidekiq 8, integer milliseconds from 8 on."""

from typing import Any, Final, NamedTuple

from kiqdoctor.wire.numbers import real

NEVER_SECONDS: Final = 100_000_000_000  # an integer above this (the year 5138) is milliseconds


def seconds(value: Any) -> float | None:
    """Epoch seconds of a stamp from a payload; None where it is no stamp.

    A float is seconds. An integer is milliseconds, unless it is so small that it can only be seconds, which writers in
    other languages produce.
    """
    number = None if isinstance(value, str | bytes) else real(value)
    if number is None:
        return None
    return number / 1000 if abs(number) >= NEVER_SECONDS else number


def plain(value: Any) -> float | None:
    """Epoch seconds of a field that is seconds in every version (beat, started_at, run_at), as text or number."""
    return real(value, least=0, most=NEVER_SECONDS)


class Spelt(NamedTuple):
    """A stamp as JSON has it: whole, and its second and what follows that."""

    millis: int
    text: str
    second: int
    fraction: str

    def later(self, seconds: int) -> str:
        """The same so many seconds later."""
        return f"{self.second + seconds}{self.fraction}"


_latest = Spelt(-1, "", 0, "")


def spelt(now: float) -> Spelt:
    """``stamp``. The last one is kept: many jobs of one end in the same millisecond."""
    global _latest  # noqa: PLW0603 - it is read and written in one step each
    millis = int(now * 1000 + 0.5)
    known = _latest
    if known[0] != millis:
        text = repr(stamp(now))
        second, _, fraction = text.partition(".")
        known = _latest = Spelt(millis, text, int(second), f".{fraction}")
    return known


def stamp(now: float) -> float:
    """What we write: float seconds, which every version reads; never integral, or 8 would read milliseconds.

    In whole milliseconds: Ruby's API finds a job that it moves by writing it again, and of stamps with more digits its
    json gem, since 2.10.2, spells one of 1,500 otherwise than we do, so that the job would be there twice. JSON writers
    may print 1795471663.0 as it is; a millisecond more costs nothing and survives those that do not.
    """
    millis = int(now * 1000 + 0.5)
    return (millis if millis % 1000 else millis + 1) / 1000
