"""A worker's right to hold jobs, through its whole life: taken, kept, regained under the same or another identity."""

import os
import secrets
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.fetching.lease import RENEW, SLACK, Lease
from kiqdoctor.runtime.fetching.reliable import ReliableFetch

if TYPE_CHECKING:
    from redis import Redis

    from kiqdoctor.runtime.capsule import Capsule
    from kiqdoctor.wire.keys import Keys

PAUSE: Final = 1.0  # seconds after a try that failed
FAREWELL: Final = 1.0  # seconds that telling Redis of the end is waited for


class Tenure:
    """``held`` hears of each lease that we take: our parent renews it, where we have one."""

    def __init__(self, client: "Redis", keys: "Keys", capsule: "Capsule", clock: Clock = SYSTEM) -> None:
        self._client, self._keys, self._capsule, self._clock = client, keys, capsule, clock
        self._regaining = threading.Lock()
        self._renewed_by_parent = -RENEW - SLACK - 1  # boot clock
        self._done = threading.Event()
        self._farewell: threading.Thread | None = None
        self.held: Callable[[Lease], None] = lambda _: None
        self.lease = self._new()

    def _new(self) -> Lease:
        host = os.environ.get("DYNO") or socket.gethostname()
        identity = f"{host}:{os.getpid()}:{secrets.token_hex(6)}"
        return Lease(self._client, self._keys, identity, self._capsule.names, self._clock)

    def acquire(self) -> None:
        """The first one.

        Raises:
            redis.exceptions.RedisError: it cannot be had.
        """
        self.lease.acquire()
        self.held(self.lease)

    def renewed(self, sent: float) -> None:
        """Our parent did it, by a request of that time of the boot clock."""
        self._renewed_by_parent = self._clock.boottime()
        self.lease.renewed(sent)

    def keep(self, fetch: ReliableFetch) -> None:
        """Renew until the end, unless our parent does."""
        while not self._done.wait(RENEW):
            if self._clock.boottime() - self._renewed_by_parent <= RENEW + SLACK:
                continue
            try:
                if not self.lease.renew():
                    self.lease.good_until = 0.0
                    self.regain(fetch)
            except Exception as error:  # noqa: BLE001 - Redis may be away
                self.lease.interrupted()
                log.warn_seldom(f"lease: {type(error).__name__}: {error}")

    def regain(self, fetch: ReliableFetch) -> None:
        """Our lease is gone or about to go: one thread sees to it, the others wait for that.

        Where nobody closed our account it is still ours, with all that lies in our lists: an outage of Redis costs no
        job a second run. Else we go on under a new identity, and what still runs ends under the old one.
        """
        before = self.lease
        with self._regaining:
            if self.lease is not before or self._clock.boottime() < self.lease.good_until:
                return
            try:
                if self.lease.renew():
                    return
                fetch.fenced()
                if not self.lease.reclaim():
                    self._another(fetch)
            except Exception as error:  # noqa: BLE001 - the next try finds us here again
                log.warn_seldom(f"lease: {type(error).__name__}: {error}")
                self._done.wait(PAUSE)

    def _another(self, fetch: ReliableFetch) -> None:
        old, new = self.lease.identity, self._new()
        new.acquire()
        fetch.adopt(new)
        self.lease = new
        self.held(new)
        log.warn(f"our lease is gone: others have our jobs, or Redis lost its data; {old} goes on as {new.identity}")
        self._client.srem(self._keys.processes, old)

    # -- the end -------------------------------------------------------------------------------------------------

    def stopping(self) -> None:
        """Say that we were asked to end; beside, for Redis may be away."""
        farewell = threading.Thread(target=self._say_stopping, daemon=True, name="kiq.stopping")
        try:
            farewell.start()
        except RuntimeError:  # the program ends: from 3.12 on no thread can be started then
            self._say_stopping()
        else:
            self._farewell = farewell

    def _say_stopping(self) -> None:
        try:
            self.lease.stopping()
        except Exception as error:  # noqa: BLE001 - a death that was asked for is counted then
            log.warn_seldom(f"lease: {type(error).__name__}: {error}")

    def end(self) -> None:
        """No renewal any more; no connection is closed under who says that we stop."""
        self._done.set()
        if self._farewell is not None:
            self._farewell.join(FAREWELL)

    def release(self) -> None:
        """The lease and, where nothing is left in our lists, the account.

        Raises:
            redis.exceptions.RedisError: Redis is away.
        """
        if not self.lease.release():
            log.warn("some jobs are still in our private lists: another process takes them back")
