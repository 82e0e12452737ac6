"""What takes Redis' place while a testing mode lasts."""

from collections.abc import Callable, Sequence
from typing import Protocol

from kiqdoctor.wire.batch import Event, Progress
from kiqdoctor.wire.payload import Payload
from kiqdoctor.wire.status import JobState


class Instead(Protocol):
    """It gets what would have been written, and is asked for what would have been read."""

    def push(self, payload: Payload, at: float | None) -> None:
        """A job; ``at``: epoch seconds for one that is for later."""

    def state(self, jid: str) -> JobState | None:
        """Of a job whose status is kept."""

    def open(self, batch: str, jids: Sequence[str], call: Callable[[Event], None]) -> None:
        """An account of a batch, before its first job; ``call`` pushes a callback."""

    def add(self, batch: str, jids: Sequence[str]) -> None:
        """More jobs of one that is there, before the first of them."""

    def seal(self, batch: str) -> None:
        """The batch has all its jobs: from now on its callbacks are due."""

    def progress(self, batch: str) -> Progress | None:
        """How far it is."""


current: Instead | None = None
