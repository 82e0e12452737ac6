"""Jobs that belong together, and what is to run when all of them ran, or all succeeded."""

import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import client, config, lua
from kiqdoctor.runtime.fetch import Step
from kiqdoctor.wire.keys import QUEUE_PREFIX, Keys

if TYPE_CHECKING:
    from types import TracebackType

    from kiqdoctor.runtime.job import Job

KEEP: Final = 30 * 24 * 3600  # seconds
FIELD: Final = "kiq_batch"

Callback = "Job[Any, Any] | tuple[Any, ...] | None"


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

    Jobs that are pushed within the block belong to it; they are sent at its end, or not at all where it raises.
    ``on_complete`` runs when each has run once, failed or not; ``on_success`` when each has succeeded, perhaps after
    retries. Each is a job, or a job and further arguments, and is called with the batch's id before these.
    """

    def __init__(self, *, on_success: Any = None, on_complete: Any = None) -> None:
        self.id = secrets.token_hex(8)
        self._callbacks = {"success": on_success, "complete": on_complete}
        self._stack = ExitStack()
        self._pushes: list[client.Push] = []

    def __enter__(self) -> "Batch":
        """Gather what is pushed."""
        self._pushes = self._stack.enter_context(client.collected())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Send it, unless the block raised."""
        self._stack.close()
        if kind is None:
            self._send()

    def _send(self) -> None:
        keys = config.current().keys
        for push in self._pushes:
            push.fields[FIELD] = self.id
        if client.intercept is None:
            self._open(keys, [push.jid for push in self._pushes])
        sent = client.deliver(self._pushes)
        if client.intercept is None:
            dropped = [push.jid for push, jid in zip(self._pushes, sent, strict=True) if push.jid != jid]
            self._seal(keys, dropped)

    def _open(self, keys: Keys, jids: Sequence[str]) -> None:
        """The account is there before the first job."""
        fields: dict[Any, Any] = {"created_at": repr(SYSTEM.now()), "total": len(jids)}
        for event, callback in self._callbacks.items():
            if callback is not None:
                fields[f"{event}_queue"], fields[event] = self._payload(callback)
        with config.client().pipeline(transaction=True) as pipe:
            pipe.hset(keys.batch(self.id), mapping=fields)
            pipe.expire(keys.batch(self.id), KEEP)
            for part in ("open", "pending"):
                if jids:
                    pipe.sadd(keys.batch(self.id, part), *jids)
                    pipe.expire(keys.batch(self.id, part), KEEP)
            pipe.execute()

    def _payload(self, callback: Any) -> tuple[str, bytes]:
        job, *args = callback if isinstance(callback, tuple) else (callback,)
        [push] = client.prepare(job.name, [[self.id, *args]], job.options)
        return push.fields["queue"], push.encode()

    def _seal(self, keys: Keys, dropped: Sequence[str]) -> None:
        sets = [keys.batch(self.id, "open"), keys.batch(self.id, "pending")]
        script = config.client().register_script(lua.source("seal"))
        script(keys=[keys.batch(self.id), *sets, keys.queues], args=[keys.name(QUEUE_PREFIX), *dropped])


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
