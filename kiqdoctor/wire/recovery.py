"""An entry of the list of recoveries: what our runtime took back from a dead process."""

from typing import Final

from kiqdoctor.records import dataclass
from kiqdoctor.wire import codec
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.stamps import plain

REMEMBERED: Final = 100  # entries that are kept


@dataclass(frozen=True, slots=True)
class RecoveryEntry:
    """``by`` took ``jobs`` jobs of the dead ``identity``; so many of them were buried. ``at``: epoch seconds."""

    at: float | None
    identity: str
    by: str
    jobs: int
    buried: int

    def encode(self) -> bytes:
        """As it is stored."""
        return codec.encode(self)


def read(raw: bytes) -> RecoveryEntry:
    """An entry as it lies there.

    Raises:
        ValueError: it is none.
    """
    try:
        found = codec.decode(raw)
        jobs, buried = whole(found["jobs"]), whole(found["buried"])
        at, identity, by = plain(found["at"]), str(found["identity"]), str(found["by"])
    except (codec.NotJsonError, KeyError, TypeError) as error:
        raise ValueError(f"no entry of a recovery: {error}") from None
    if jobs is None or buried is None:
        raise ValueError("no entry of a recovery: its counts are no numbers")
    return RecoveryEntry(at, identity, by, jobs, buried)
