"""One job has its process for itself: for a short while, and then not again for as long."""

import threading
from typing import Final

from kiqdoctor.clock import Clock

ALONE: Final = 1.0  # seconds; a job may take hours, and many may be suspects: whoever dies beside one is not counted


class Solo:
    """``who``: the thread whose job it is, or None."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = self._again_at = 0.0  # monotonic
        self.who: int | None = None

    def begin(self, number: int) -> bool:
        """Whether it is this thread's turn."""
        now = self._clock.monotonic()
        with self._lock:
            if self.who is not None or now < self._again_at:
                return False
            self.who, self._since = number, now
        return True

    def end(self, number: int) -> bool:
        """Whether it was this thread that was alone until now."""
        now = self._clock.monotonic()
        with self._lock:
            if self.who != number:
                return False
            self.who = None
            self._again_at = now + min(now - self._since, ALONE)
        return True

    @property
    def over(self) -> int | None:
        """The thread whose time is over."""
        who = self.who
        return who if who is not None and self._clock.monotonic() - self._since > ALONE else None
