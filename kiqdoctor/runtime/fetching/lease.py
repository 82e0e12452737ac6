"""A process's right to hold jobs: a lease that it renews, beside the account of its private lists in the index."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import forking, lua
from kiqdoctor.runtime.fetching import seats
from kiqdoctor.wire.account import LEFT, STOPPING, Account
from kiqdoctor.wire.keys import LANES, Keys

if TYPE_CHECKING:
    from redis import Redis

LEASE: Final = 15  # seconds: two renewals may fail, and another host's jobs run again within 30 s of a death
RENEW: Final = 5.0  # seconds
MARGIN: Final = 5.0  # seconds before the lease's end at which nothing is started any more: to start takes time, too
SLACK: Final = 3.0  # seconds that a renewal may be late without meaning an outage


class Lease:
    """Renewed by a plain EXPIRE, which a full Redis still takes.

    Not by the beat's MULTI, which it refuses: then memory that is full would look like the death of the whole fleet.
    All times are of the boot clock, which goes on while a machine or a process is suspended; the monotonic one stands
    still, and a process that wakes would start what has been somebody else's for an hour.
    """

    def __init__(
        self, client: "Redis", keys: Keys, identity: str, queues: Sequence[str], clock: Clock = SYSTEM
    ) -> None:
        self._client, self._keys, self._clock = client, keys, clock
        self._reclaim = client.register_script(lua.source("reclaim"))
        self._forget = client.register_script(lua.source("forget"))
        self._restate = client.register_script(lua.source("restate"))
        self._origin = forking.origin("this worker")
        self.identity = identity
        self.account = Account(tuple(queues), seats.here())
        self.good_until = 0.0  # boottime; nothing is started after it
        self._steady_since = clock.boottime()

    @property
    def key(self) -> str:
        """The lease's own key."""
        return self._keys.lease(self.identity)

    @property
    def overran(self) -> str:
        """The key that tells which jobs this process is killed for."""
        return self._keys.overran(self.identity)

    def acquire(self) -> None:
        """Lease and account together, before the first fetch: a job in a list that no account names is lost."""
        sent = self._clock.boottime()  # before it is sent: the lease began at some time after this
        self._claim(LEASE, self.account.encode())
        self._steady_since = sent
        self._held(sent)

    def leave_open(self) -> None:
        """The account alone: what a wait of ours may bring after it was closed is found by the survivors.

        They may not go by our pid then, which lives on.
        """
        self._claim(0, replace(self.account, state=LEFT).encode())

    def stopping(self) -> None:
        """Whatever ends us from now on, we were asked to end: no job that we hold is to blame for it."""
        self._origin.check()
        self.account = replace(self.account, state=STOPPING)
        self._restate(keys=[self._keys.index], args=[self.identity, self.account.encode()])

    def renew(self) -> bool:
        """Whether it was still ours; a server that refuses to write says so by an error."""
        self._origin.check()
        sent = self._clock.boottime()
        renewed = bool(self._client.expire(self.key, LEASE))
        self._unless_gap()
        if renewed:
            self._held(sent)
        return renewed

    def renewed(self, sent: float) -> None:
        """Our parent renewed it, by a request of that time of the boot clock, which is the whole machine's."""
        self._unless_gap()
        if sent + LEASE - MARGIN > self.good_until > 0:
            self._held(sent)

    def _unless_gap(self) -> None:
        if (now := self._clock.boottime()) - (self.good_until - LEASE + MARGIN) > RENEW + SLACK:
            self._steady_since = now  # a gap of our own: the others may have had it too

    def reclaim(self) -> bool:
        """Whether a lease that ran out is ours again, with what still lies in our private lists.

        Under the same identity: after an outage of Redis every lease is gone, and with new identities the running jobs
        of the whole fleet would be recovered, run twice and be counted as deaths. Both cannot own a job, for whoever
        recovers it asks for the lease in the step that moves it.
        """
        sent = self._clock.boottime()
        if not self._claim(LEASE, b""):
            return False
        self._steady_since = sent
        self._held(sent)
        return True

    def _claim(self, seconds: int, account: bytes) -> bool:
        from redis import ResponseError

        self._origin.check()
        try:
            return bool(self._reclaim(keys=[self.key, self._keys.index], args=[self.identity, seconds, account]))
        except ResponseError as error:
            if "WRONGTYPE" in str(error):  # the lease's own name is new: only the index was there before us
                raise ResponseError(f"{self._keys.index}: {error}") from error
            raise

    def _held(self, sent: float) -> None:
        self.good_until = sent + LEASE - MARGIN

    def interrupted(self) -> None:
        """A renewal could not be told: from the next one on we count anew."""
        self._steady_since = self._clock.boottime()

    @property
    def steady(self) -> bool:
        """Whether we renewed without a gap for a whole lease: then another's missing lease means its death."""
        return self._clock.boottime() - self._steady_since > LEASE and self._clock.boottime() < self.good_until

    def release(self) -> bool:
        """We leave; the account stays for the survivors where a private list still holds something."""
        self._origin.check()
        return close_account(self._forget, self._keys, self.identity, self.account, leaving=True)


def close_account(forget: Any, keys: Keys, identity: str, account: Account, *, leaving: bool = False) -> bool:
    """Remove a process from the index when nothing of it is left; whether it was."""
    lists = [keys.private(identity, lane, queue) for lane in LANES for queue in account.queues]
    numbers = [*(keys.sequence(identity, lane) for lane in LANES), keys.exits(identity)]
    words = [identity, len(lists), replace(account, state=LEFT).encode() if leaving else b""]
    return bool(forget(keys=[keys.lease(identity), keys.index, *lists, *numbers], args=words))
