"""What Django tells of a task beyond its state: a field of the job's status, written by whoever has the job."""

import os
import socket
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import config, instead
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.text import clean
from kiqdoctor.wire import codec
from kiqdoctor.wire.keys import STATUS_TTL
from kiqdoctor.wire.status import TASK

ERRORS: Final = 10  # that are kept, the latest
LONGEST: Final = 8_000  # characters of a traceback


@dataclass(frozen=True, slots=True)
class Record:
    """Times in epoch seconds; ``errors``: an exception's path and its traceback, for each run that failed."""

    args: list[Any] = field(default_factory=list)
    kwargs: dict[str, Any] = field(default_factory=dict)
    enqueued_at: float | None = None
    started_at: float | None = None
    last_attempted_at: float | None = None
    finished_at: float | None = None
    worker_ids: list[str] = field(default_factory=list)
    errors: list[tuple[str, str]] = field(default_factory=list)
    job_class: str = ""

    @classmethod
    def of(cls, running: Running) -> "Record":
        """At the beginning of a run; who pushed it may have been a stranger."""
        known = cls.read(running.jid) or cls(running.args, running.keywords, job_class=running.job_class)
        now = SYSTEM.now()
        who = f"{socket.gethostname()}:{os.getpid()}"
        return replace(
            known,
            started_at=known.started_at or now,
            last_attempted_at=now,
            finished_at=None,
            worker_ids=[*known.worker_ids, who],
        )

    @classmethod
    def read(cls, jid: str) -> "Record | None":
        """None where there is none, or none that can be read."""
        if instead.current is not None:
            return None
        raw: Any = config.client().hget(config.current().keys.status(jid), TASK)
        try:
            return codec.typed(codec.decode(raw), cls) if raw is not None else None
        except (codec.NotJsonError, msgspec.ValidationError):
            return None

    @staticmethod
    def forget(jid: str) -> None:
        """Nobody runs it under this jid."""
        if instead.current is None:
            config.client().unlink(config.current().keys.status(jid))

    def save(self, jid: str) -> None:
        """For as long as a state is kept that nobody changes any more."""
        if instead.current is not None:
            return
        key = config.current().keys.status(jid)
        with config.client().pipeline(transaction=True) as pipe:
            pipe.hset(key, TASK, codec.encode(self))
            pipe.expire(key, STATUS_TTL)
            pipe.execute()

    def failed(self, name: str, trace: str) -> "Record":
        """After an error."""
        return replace(self, errors=[*self.errors, (name, clean(trace, LONGEST, lines=True))][-ERRORS:])

    def ended(self) -> "Record":
        """It is not run any more."""
        return replace(self, finished_at=SYSTEM.now())
