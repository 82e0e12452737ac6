"""A process is killed for jobs that ran too long: its stacks are written, Redis hears which jobs, then it goes.

In that order: whoever recovers what it held must know which of them have failed, and that the others are not to blame.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from kiqdoctor import sentinels
from kiqdoctor.resp import StepError
from kiqdoctor.runtime import log
from kiqdoctor.runtime.supervising.renewal import AGAIN, connected
from kiqdoctor.wire.overrun import KEPT

GRACE: Final = 1.0  # seconds beyond its time in which a job may end by itself: by a checkpoint, or an await
DUMP: Final = 1.0  # seconds in which the stacks are written


@dataclass(frozen=True, slots=True)
class Watched:
    """A job that runs. ``until``: of the boot clock; ``what``: its class and jid, for a person."""

    number: int
    what: str
    seconds: float
    until: float
    digest: str


@dataclass
class Overrun:
    """``jobs``: for which a process is killed; ``began``: on the monotonic clock."""

    jobs: Sequence[Watched]
    redis: str
    key: str
    began: float = field(default_factory=time.monotonic)
    told: bool = False  # Redis knows
    aborted_at: float | None = None  # it was silent, and told to write its stacks without its GIL
    over: bool = False
    _thread: threading.Thread | None = None

    def tell(self) -> None:
        """In a thread of its own: the parent's loop waits for no Redis."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._tell, daemon=True, name="kiq.overrun")
            self._thread.start()

    def _tell(self) -> None:
        words = [word for one in self.jobs for word in (one.digest, repr(one.seconds))]
        while not self.over:
            try:
                wire = connected(self.redis)
                try:
                    replies = wire.exchange([("HSET", self.key, *words), ("EXPIRE", self.key, KEPT)])[0]
                finally:
                    wire.close()
                refused = next((one for one in replies if isinstance(one, Exception)), None)
                if refused is None:
                    self.told = True
                    return
                log.warn_seldom(f"a job that ran too long: {refused}")
            except (StepError, sentinels.SentinelError, OSError, ValueError) as error:
                log.warn_seldom(f"a job that ran too long: {type(error).__name__}: {error}")
            time.sleep(AGAIN)
