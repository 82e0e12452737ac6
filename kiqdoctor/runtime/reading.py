"""Payloads into records, for one thread: of two kinds the one that fitted last is tried first."""

from collections.abc import Callable
from typing import Final

from kiqdoctor.wire.payload import NOT_PLAIN, Plain, known_payload, plain_payload

SOME: Final = 8  # payloads that were plain though read as more, after which the next is taken for a plain one


class Reading:
    """``read``: the record in these bytes; whatever is none of the kind is refused with an error of ``NOT_PLAIN``."""

    def __init__(self) -> None:
        self.read: Callable[[bytes], Plain] = plain_payload
        self._plain = 0

    def otherwise(self, raw: bytes) -> Plain | None:
        """What was refused, as of the other kind: the next is likely to be so, too."""
        if self.read is known_payload:
            return None
        try:
            record = known_payload(raw)
        except NOT_PLAIN:
            return None
        self.read = known_payload
        return record

    def plainly(self) -> None:
        """One was plain though read as more: some later all are read at half the price; at once a mixture would pay."""
        self._plain += 1
        if self._plain >= SOME:
            self.read, self._plain = plain_payload, 0
