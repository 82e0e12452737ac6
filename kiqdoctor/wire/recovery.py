"""An entry of the list of recoveries: what our runtime took back from a dead process."""

from dataclasses import dataclass

from kiqdoctor.wire import codec
from kiqdoctor.wire.stamps import plain


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
    found = codec.decode(raw)
    try:
        return RecoveryEntry(
            plain(found["at"]), str(found["identity"]), str(found["by"]), int(found["jobs"]), int(found["buried"])
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no entry of a recovery: {error}") from None
