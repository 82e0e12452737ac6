"""Jobs that belong together, and what is to run when all of them ran, or all succeeded."""

import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final, Self

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import client, config, context, forking, instead, lua
from kiqdoctor.runtime.beside import beside
from kiqdoctor.runtime.sending import SLICE, Push
from kiqdoctor.wire import codec
from kiqdoctor.wire.batch import CREATED_AT, FAILURES, OPEN, PENDING, TOTAL, Event, Progress, read
from kiqdoctor.wire.fields import ENQUEUED_AT, EXPIRES_IN, EXPIRY
from kiqdoctor.wire.keys import QUEUE_PREFIX, Keys
from kiqdoctor.wire.payload import Payload

if TYPE_CHECKING:
    from types import TracebackType

    from redis.client import Pipeline

    from kiqdoctor.runtime.job import Job

KEEP: Final = 30 * 24 * 3600  # seconds

Callback = tuple["Job[..., Any]", tuple[Any, ...]]


class Batch:
    """``with Batch(on_success=(report, "monthly")): send.perform_async(...)``.

    Jobs that are pushed within the block, by its own thread or task, belong to it; they are sent at its end, or not at
    all where it raises. ``on_complete`` runs when each has run once, failed or not; ``on_success`` when each has
    succeeded, perhaps after retries: a job that died or was discarded is in its way, one that expired is not. Each is a
    job, or a job and further arguments, and is called with the batch's id before these, once. Where Redis fails at the
    end of the block, jobs may have been sent, and nobody is called back.

    ``async with`` sends beside an event loop.

    Raises:
        ValueError: a callback that is no job.
        TypeError: one that does not take the id and these arguments.
        kiqdoctor.wire.codec.ArgumentError: its arguments have no JSON form.
    """

    def __init__(self, *, on_success: Any = None, on_complete: Any = None) -> None:
        self.id = secrets.token_hex(8)
        self._callbacks: dict[Event, Callback | None] = {
            "success": _callback(on_success),
            "complete": _callback(on_complete),
        }
        self._adds = False  # to one that is there
        self._stack = ExitStack()
        self._pushes: list[Push] | None = None
        self._origin = forking.origin("a batch")

    @classmethod
    def current(cls) -> Self:
        """The batch of the job that runs here: what is pushed within ``with Batch.current():`` belongs to it, too.

        Its ``on_success`` waits for that. In a second try ``on_complete`` may have been called already.

        Raises:
            LookupError: no job runs here, or it belongs to none.
        """
        if (known := context.current().batch) is None:
            raise LookupError("the job that runs here belongs to no batch")
        found = cls()
        found.id, found._adds = known, True
        return found

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

    async def __aenter__(self) -> Self:
        """Gather what is pushed."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Send it beside the event loop, unless the block raised."""
        self._stack.close()
        if kind is not None:
            return
        self._origin.check()
        if instead.current is not None:
            self._send(self._pushes or [])
        else:
            await beside(self._send, self._pushes or [])

    def _send(self, pushes: list[Push]) -> None:
        for push in pushes:
            push.join(self.id)
        jids = [push.jid for push in pushes]
        if (taker := instead.current) is not None:
            if self._adds:
                taker.add(self.id, jids)
            else:
                taker.open(self.id, jids, self._call)
            client.deliver(pushes, at_once=True)
            taker.seal(self.id)
            return
        keys = config.current().keys
        self._patiently(lambda: self._open(keys, jids))
        sent = client.deliver(pushes, at_once=True)
        dropped = [push.jid for push, jid in zip(pushes, sent, strict=True) if push.jid != jid]
        if dropped or not self._adds:
            self._patiently(lambda: self._seal(keys, dropped))

    def _call(self, event: Event) -> None:
        """Push a callback from here, where no script does it."""
        if (callback := self._callbacks[event]) is not None:
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
        if self._adds:
            self._add(keys, jids)
            return
        fields: dict[Any, Any] = {CREATED_AT: repr(SYSTEM.now()), TOTAL: len(jids)}
        for event, callback in self._callbacks.items():
            if callback is not None and (payload := self._payload(*callback)) is not None:
                fields[f"{event}_queue"], fields[event] = payload.queue, payload.encode()
                if (seconds := payload.fields.get(EXPIRES_IN)) is not None:
                    fields[f"{event}_expires"] = int(seconds * 1000)
        with config.client().pipeline(transaction=True) as pipe:
            pipe.hset(keys.batch(self.id), mapping=fields)
            pipe.expire(keys.batch(self.id), KEEP)
            self._list(pipe, keys, jids)
            pipe.execute()

    def _add(self, keys: Keys, jids: Sequence[str]) -> None:
        """The job that adds is among those that have not succeeded, so the account is still open."""
        with config.client().pipeline(transaction=True) as pipe:
            pipe.hincrby(keys.batch(self.id), TOTAL, len(jids))
            self._list(pipe, keys, jids)
            pipe.execute()

    def _list(self, pipe: "Pipeline", keys: Keys, jids: Sequence[str]) -> None:
        for part in (OPEN, PENDING):
            for start in range(0, len(jids), SLICE):
                pipe.sadd(keys.batch(self.id, part), *jids[start : start + SLICE])
            pipe.expire(keys.batch(self.id, part), KEEP)

    def _payload(self, job: "Job[..., Any]", args: tuple[Any, ...]) -> Payload | None:
        """batch.lua ends its bytes with the time of the push, and of its expiry; None where a middleware dropped it."""
        prepared = client.prepare(job.name, [[self.id, *args]], job.options)
        if not prepared:
            return None
        [push] = prepared
        return Payload({name: value for name, value in push.fields.items() if name not in {ENQUEUED_AT, EXPIRY}})

    def _seal(self, keys: Keys, dropped: Sequence[str]) -> None:
        sets = [keys.batch(self.id, OPEN), keys.batch(self.id, PENDING)]
        script = config.client().register_script(lua.source("seal"))
        script(keys=[keys.batch(self.id), *sets, keys.queues], args=[keys.name(QUEUE_PREFIX), *dropped])


def _callback(value: Any) -> Callback | None:
    if value is None:
        return None
    from kiqdoctor.runtime.job import Job

    job, *args = value if isinstance(value, tuple) else (value,)
    if not isinstance(job, Job):
        raise ValueError(f"a batch calls back a job, or (job, arguments...), not {value!r}")
    codec.strict(args, "args")
    job.lay(["", *args], {})  # the batch's id comes first
    return job, tuple(args)


def progress(batch: str) -> Progress | None:
    """How far a batch is, by its id; None where it is not known (any more)."""
    if instead.current is not None:
        return instead.current.progress(batch)
    keys, redis = config.current().keys, config.client()
    with redis.pipeline(transaction=True) as pipe:
        pipe.hmget(keys.batch(batch), TOTAL, FAILURES)
        pipe.scard(keys.batch(batch, OPEN))
        pipe.scard(keys.batch(batch, PENDING))
        return read(*pipe.execute())
