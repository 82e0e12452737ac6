"""How a job gets in: one push, many, or later; as Sidekiq's own client writes them."""

import secrets
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import config
from kiqdoctor.wire import codec
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import Payload, new, pushed

if TYPE_CHECKING:
    from redis import Redis

SLICE = 1_000  # jobs in one round trip


def new_jid() -> str:
    """24 hex digits."""
    return secrets.token_hex(12)


def enqueue(
    job_class: str,
    batch: Sequence[Sequence[Any]],
    options: dict[str, Any],
    *,
    at: float | None = None,
    clock: Clock = SYSTEM,
) -> list[str]:
    """Push jobs of one class; their jids, in order.

    Raises:
        kiqdoctor.wire.codec.ArgumentError: an argument has no JSON form; nothing was pushed.
        redis.exceptions.RedisError: Redis could not be reached or refused.
    """
    now = clock.now()
    checked = [_checked(args) for args in batch]
    jobs = [new(job_class, args, new_jid(), now, options) for args in checked]
    if at is not None and at > now:
        send_later(config.client(), config.current().keys, jobs, at)
    else:
        send(config.client(), config.current().keys, [pushed(job, now) for job in jobs])
    return [job.jid for job in jobs]


def _checked(args: Sequence[Any]) -> list[Any]:
    if isinstance(args, str | bytes):
        raise codec.ArgumentError("each job's arguments must be a list, not a string")
    listed = list(args)
    codec.strict(listed, "args")
    return listed


def send(client: "Redis", keys: Keys, jobs: Sequence[Payload]) -> None:
    """Into their queues: SADD and LPUSH in one round trip, sent once more under the same jids on a lost connection."""
    for some in _slices(jobs):
        by_queue: dict[str, list[bytes]] = {}
        for job in some:
            by_queue.setdefault(job.queue, []).append(job.encode())
        _twice(lambda found=by_queue: _push(client, keys, found))


def _push(client: "Redis", keys: Keys, by_queue: dict[str, list[bytes]]) -> None:
    with client.pipeline(transaction=False) as pipe:
        pipe.sadd(keys.queues, *by_queue)
        for queue, payloads in by_queue.items():
            pipe.lpush(keys.queue(queue), *payloads)
        pipe.execute()


def send_later(client: "Redis", keys: Keys, jobs: Sequence[Payload], at: float) -> None:
    """Into ``schedule``, due at ``at`` (epoch seconds)."""
    for some in _slices(jobs):
        entries: dict[Any, Any] = {job.encode(): at for job in some}
        _twice(lambda found=entries: client.zadd(keys.schedule, found))


def _slices(jobs: Sequence[Payload]) -> list[list[Payload]]:
    left = iter(jobs)
    return list(iter(lambda: list(islice(left, SLICE)), []))


def _twice(send_it: Any) -> None:
    """At least once starts here: a reply that was lost is answered by sending the same bytes again."""
    import redis

    try:
        send_it()
    except (redis.ConnectionError, redis.TimeoutError, redis.ReadOnlyError):
        send_it()
