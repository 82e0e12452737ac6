"""Pushes on their way to Redis: packed together, a thousand in a round trip, over a few connections."""

import os
import threading
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import config, forking, status
from kiqdoctor.runtime.channel import Channel, Script, command
from kiqdoctor.wire import codec
from kiqdoctor.wire.connections import PUSHING
from kiqdoctor.wire.keys import STATUS_TTL, Keys
from kiqdoctor.wire.payload import joined
from kiqdoctor.wire.status import QUEUED, SCHEDULED, change

if TYPE_CHECKING:
    from redis import Redis

SLICE: Final = 1_000  # jobs in one round trip
LARGEST: Final = 64 * 1024 * 1024  # bytes of one round trip, where it can be divided; the server's own limit is 1 GB
SHOWN: Final = 3  # jids in a message
PATIENCE: Final = 1.0  # seconds that replicas have to confirm a push


class MaybeEnqueued(ConnectionError):  # noqa: N818 - it is no error if it is there
    """The reply to a push was lost: its jobs are in their queues, or they are not. ``jids`` are those they have.

    ``enqueued``: jids of the same call that certainly are, where it took several round trips.
    """

    def __init__(self, jids: Sequence[str], reason: str) -> None:
        super().__init__(f"the reply to a push was lost ({reason}); jid {_some(jids)} may be enqueued or not")
        self.jids = tuple(jids)
        self.enqueued: tuple[str, ...] = ()

    @property
    def jid(self) -> str:
        """The first of them."""
        return self.jids[0]


class NotReplicatedError(MaybeEnqueued):
    """The jobs are in their queues, and fewer replicas than ``wait_replicas`` confirmed that within a second."""

    def __init__(self, jids: Sequence[str], had: int, wanted: int) -> None:
        super().__init__(jids, "")
        text = f"{had} of {wanted} replicas confirmed a push within {PATIENCE:g} s"
        self.args = (f"{text}; jid {_some(jids)} is enqueued, and lost where the primary fails now",)


def _counted(reply: Any) -> int:
    """Replicas that confirmed; none where the server refuses to say."""
    return reply if isinstance(reply, int) else 0


def _some(jids: Sequence[str]) -> str:
    more = f" and {len(jids) - SHOWN} more" if len(jids) > SHOWN else ""
    return ", ".join(jids[:SHOWN]) + more


class Push(msgspec.Struct, eq=False, gc=False):
    """A job on its way in: ``at`` in epoch seconds for later; ``lock`` and ``lock_for`` where it must be unique.

    ``told``: its state is written too. Its payload is made at once: whoever pushed may change its arguments thereafter.
    """

    raw: bytes
    jid: str
    queue: str
    at: float | None = None
    told: bool = False
    lock: str = ""
    lock_for: float = 0.0

    @property
    def fields(self) -> dict[str, Any]:
        """A copy of what it holds."""
        found: dict[str, Any] = codec.decode(self.raw)
        return found

    def join(self, batch: str) -> None:
        """Belong to a batch."""
        self.raw = joined(self.raw, batch)


class Sender:
    """A few connections that pushes share, the last used first; requests are packed here."""

    def __init__(self, client: "Redis", settings: config.Settings) -> None:
        self._client, self._settings, self._keys = client, settings, settings.keys
        self._free: deque[Channel] = deque()
        self._room = threading.BoundedSemaphore(PUSHING)
        self._unique = Script("unique")
        self.pid = os.getpid()

    def send(self, pushes: Sequence[Push]) -> list[str]:
        """At most a slice, in one round trip; the jids, in order."""
        requests, count, storing, locked = _packed(self._keys, self._unique, pushes)
        if len(requests) > LARGEST and len(pushes) > 1:
            half = len(pushes) // 2
            return self.send(pushes[:half]) + self.send(pushes[half:])
        if self._settings.wait_replicas:
            requests += command("WAIT", self._settings.wait_replicas, int(PATIENCE * 1000))
            count += 1
        with self._room:
            channel = self._channel()
            try:
                replies = self._exchange(channel, requests, count, pushes)
            finally:
                self._free.append(channel)
        _insist([replies[place] for place in storing], pushes)
        if (wanted := self._settings.wait_replicas) and (had := _counted(replies[-1])) < wanted:
            raise NotReplicatedError([one.jid for one in pushes], had, wanted)
        return _jids(pushes, replies, locked) if locked else [one.jid for one in pushes]

    @property
    def in_use(self) -> int:
        """Connections that push right now."""
        return PUSHING - self._room._value  # noqa: SLF001 - a semaphore does not tell otherwise

    def _channel(self) -> Channel:
        try:
            channel = self._free.pop()
        except IndexError:
            return Channel(self._client)
        if channel.open and channel.ready():
            channel.close()  # the server hung up while it lay idle
        return channel

    def _exchange(self, channel: Channel, requests: bytes, count: int, pushes: Sequence[Push]) -> list[Any]:
        import redis

        lost = (redis.ConnectionError, redis.TimeoutError)
        if not channel.open:
            channel.connect()
        try:
            return channel.exchange(requests, count)
        except redis.ReadOnlyError:  # nothing was written: after a failover the new connection finds the primary
            channel.close()
            return channel.exchange(requests, count)
        except redis.exceptions.BusyLoadingError:
            raise
        except lost as error:
            if not self._settings.resend:
                raise MaybeEnqueued([one.jid for one in pushes], f"{type(error).__name__}: {error}") from error
            try:
                channel.close()
                return channel.exchange(requests, count)
            except lost as again:
                raise MaybeEnqueued([one.jid for one in pushes], f"{type(again).__name__}: {again}, twice") from again


def _insist(replies: list[Any], pushes: Sequence[Push]) -> None:
    """What stores jobs must not have been refused; all of it was, or nobody knows without looking."""
    refused = [one for one in replies if isinstance(one, Exception)]
    if not refused:
        return
    if len(refused) == len(replies):
        raise refused[0]
    raise MaybeEnqueued([one.jid for one in pushes], f"some queues refused: {refused[0]}")


def _packed(keys: Keys, unique: Script, pushes: Sequence[Push]) -> tuple[bytes, int, list[int], list[int]]:
    """Requests, how many there are, which of the replies tell of jobs that were stored, and which of unique ones."""
    now: dict[str, list[bytes]] = {}
    later: list[Any] = []
    parts: list[bytes] = []
    locked = [push for push in pushes if push.lock]
    for push in pushes:
        if push.lock:
            continue
        if push.told:  # before the job, which may run at once
            parts += [command(*words) for words in status.commands(keys, push.jid, *_state(push))]
        if push.at is None:
            now.setdefault(push.queue, []).append(push.raw)
        else:
            later += [repr(push.at), push.raw]
    if now:
        parts.append(command("SADD", keys.queues, *now))
    first = len(parts)
    parts += [command("LPUSH", keys.queue(queue), *raws) for queue, raws in now.items()]
    if later:
        parts.append(command("ZADD", keys.schedule, *later))
    storing = list(range(first, len(parts)))
    if locked:
        parts.append(command("SCRIPT", "LOAD", unique.source))
    places = list(range(len(parts), len(parts) + len(locked)))
    parts += [_unique_request(keys, unique, push) for push in locked]
    return b"".join(parts), len(parts), storing + places, places


def _unique_request(keys: Keys, unique: Script, push: Push) -> bytes:
    names, words = script_words(keys, push)
    return command("EVALSHA", unique.digest, len(names), *names, *words)


def script_words(keys: Keys, push: Push) -> tuple[list[str], list[Any]]:
    """Keys and arguments of push.lua."""
    queue, jid = push.queue, push.jid
    target = keys.queue(queue) if push.at is None else keys.schedule
    lasts = max(1, int(push.lock_for * 1000)) if push.lock else 0
    state, since = _state(push)
    told = (STATUS_TTL, *change(state, repr(since))) if push.told else ()
    names = [keys.unique(push.lock), keys.queues, target, keys.status(jid)]
    return names, [jid, lasts, queue, push.raw, "" if push.at is None else repr(push.at), *told]


def _state(push: Push) -> tuple[str, float]:
    """Its first one, and since when."""
    return QUEUED if push.at is None else SCHEDULED, SYSTEM.now()


def _jids(pushes: Sequence[Push], replies: list[Any], places: list[int]) -> list[str]:
    answers = iter(places)
    return [replies[next(answers)].decode() if push.lock else push.jid for push in pushes]


def in_use() -> int:
    """How many connections push right now."""
    return _made[1].in_use if _made is not None else 0


_senders = threading.Lock()
_made: tuple[Any, Sender] | None = None


def sender() -> Sender:
    global _made  # noqa: PLW0603 - one for the process, made again after configure and fork
    client = config.client()
    known = _made
    if known is not None and known[0] is client and known[1].pid == os.getpid():
        return known[1]
    with _senders:
        made = Sender(client, config.current())
        _made = (client, made)
        return made


def _forget() -> None:
    """In a child after fork the parent's connections are not used, and the next push opens others."""
    global _senders, _made
    _senders, _made = threading.Lock(), None


forking.in_child(_forget)
