"""Jobs that belong together, and what is to run when all of them ran, or all succeeded."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import client, config, forking, lua
from kiqdoctor.runtime.fetching.work import Step
from kiqdoctor.runtime.sending import SLICE, Push
from kiqdoctor.wire import codec
from kiqdoctor.wire.fields import BATCH, ENQUEUED_AT, QUEUE
from kiqdoctor.wire.keys import QUEUE_PREFIX, Keys

if TYPE_CHECKING:
    from types import TracebackType

    from kiqdoctor.runtime.job import Job

KEEP: Final = 30 * 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Progress:
    """``total`` jobs; ``open``: not run to an end once; ``pending``: not succeeded; ``failures``: runs that failed."""

    total: int
    open: int
    pending: int
    failures: int

    @property
    def complete(self) -> bool:
        """Each has run to an end at least once."""
        return self.open == 0

    @property
    def succeeded(self) -> bool:
        """Each has succeeded."""
        return self.pending == 0


class Batch:
    """``with Batch(on_success=(report, "monthly")): send.perform_async(...)``.

    Jobs that are pushed within the block, by its own thread or task, belong to it; they are sent at its end, or not at
    all where it raises. ``on_complete`` runs when each has run once, failed or not; ``on_success`` when each has
    succeeded, perhaps after retries: a job that died or was discarded is in its way, one that expired is not. Each is a
    job, or a job and further arguments, and is called with the batch's id before these, once. Where Redis fails at the
    end of the block, jobs may have been sent, and nobody is called back.

    Raises:
        ValueError: a callback that is no job.
        kiqdoctor.wire.codec.ArgumentError: its arguments have no JSON form.
    """

    def __init__(self, *, on_success: Any = None, on_complete: Any = None) -> None:
        self.id = secrets.token_hex(8)
        self._callbacks = {"success": _callback(on_success), "complete": _callback(on_complete)}
        self._stack = ExitStack()
        self._pushes: list[Push] | None = None
        self._origin = forking.origin("a batch")

    def __enter__(self) -> Self:
        """Gather what is pushed."""
        if self._pushes is not None:
            raise RuntimeError("a batch is for one block: make another one")
        self._pushes = self._stack.enter_context(client.collected())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Send it, unless the block raised."""
        self._stack.close()
        if kind is None:
            self._origin.check()
            self._send(self._pushes or [])

    def _send(self, pushes: list[Push]) -> None:
        for push in pushes:
            push.fields[BATCH] = self.id
        if client.intercept is not None:
            self._instead(pushes)
            return
        keys = config.current().keys
        self._patiently(lambda: self._open(keys, [push.jid for push in pushes]))
        sent = client.deliver(pushes, at_once=True)
        dropped = [push.jid for push, jid in zip(pushes, sent, strict=True) if push.jid != jid]
        self._patiently(lambda: self._seal(keys, dropped))

    def _instead(self, pushes: list[Push]) -> None:
        """In tests without Redis; where jobs run at once, all of them have succeeded then."""
        client.deliver(pushes, at_once=True)
        if client.inline:
            for callback in (self._callbacks["complete"], self._callbacks["success"]):
                if callback is not None:
                    job, args = callback
                    client.deliver(client.prepare(job.name, [[self.id, *args]], job.options), at_once=True)

    @staticmethod
    def _patiently(act: Callable[[], None]) -> None:
        """Once more where the reply was lost: both acts may be repeated."""
        import redis

        try:
            act()
        except (redis.ConnectionError, redis.TimeoutError):
            act()

    def _open(self, keys: Keys, jids: Sequence[str]) -> None:
        """The account is there before the first job."""
        fields: dict[Any, Any] = {"created_at": repr(SYSTEM.now()), "total": len(jids)}
        for event, callback in self._callbacks.items():
            if callback is not None and (payload := self._payload(*callback)) is not None:
                fields[f"{event}_queue"], fields[event] = payload
        with config.client().pipeline(transaction=True) as pipe:
            pipe.hset(keys.batch(self.id), mapping=fields)
            pipe.expire(keys.batch(self.id), KEEP)
            for part in ("open", "pending"):
                for start in range(0, len(jids), SLICE):
                    pipe.sadd(keys.batch(self.id, part), *jids[start : start + SLICE])
                pipe.expire(keys.batch(self.id, part), KEEP)
            pipe.execute()

    def _payload(self, job: "Job[..., Any]", args: tuple[Any, ...]) -> tuple[str, bytes] | None:
        """Its queue and bytes, which batch.lua ends with the time of the push; None where a middleware dropped it."""
        prepared = client.prepare(job.name, [[self.id, *args]], job.options)
        if not prepared:
            return None
        [push] = prepared
        push.fields.pop(ENQUEUED_AT, None)
        return push.fields[QUEUE], push.encode()

    def _seal(self, keys: Keys, dropped: Sequence[str]) -> None:
        sets = [keys.batch(self.id, "open"), keys.batch(self.id, "pending")]
        script = config.client().register_script(lua.source("seal"))
        script(keys=[keys.batch(self.id), *sets, keys.queues], args=[keys.name(QUEUE_PREFIX), *dropped])


def _callback(value: Any) -> "tuple[Job[..., Any], tuple[Any, ...]] | None":
    if value is None:
        return None
    from kiqdoctor.runtime.job import Job

    job, *args = value if isinstance(value, tuple) else (value,)
    if not isinstance(job, Job):
        raise ValueError(f"a batch calls back a job, or (job, arguments...), not {value!r}")
    codec.strict(args, "args")
    return job, tuple(args)


def progress(batch: str) -> Progress | None:
    """How far a batch is, by its id; None where it is not known (any more)."""
    keys, redis = config.current().keys, config.client()
    with redis.pipeline(transaction=True) as pipe:
        pipe.hmget(keys.batch(batch), "total", "failures")
        pipe.scard(keys.batch(batch, "open"))
        pipe.scard(keys.batch(batch, "pending"))
        [(total, failures), still_open, pending] = pipe.execute()
    return None if total is None else Progress(int(total), still_open, pending, int(failures or 0))


def closing(keys: Keys, batch: str, jid: str, ending: str) -> Step:
    """What tells a batch that one of its jobs ended: "done" or "failed"."""
    sets = (keys.batch(batch, "open"), keys.batch(batch, "pending"))
    return Step("CLOSE", keys.batch(batch), (jid, ending, *sets, keys.queues, keys.name(QUEUE_PREFIX)))
