"""Where a failure sends a job, and what goes with that; also where its process had to be killed for it."""

import random
from collections.abc import Callable
from typing import Any

from kiqdoctor.runtime import endings, log
from kiqdoctor.runtime.config import Settings
from kiqdoctor.runtime.endings import End, Ending, Step
from kiqdoctor.runtime.hearing import hear, mourn
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.retrying import Destination, after_failure
from kiqdoctor.wire.payload import Payload


def failing(
    settings: Settings,
    job: Job[Any, Any] | None,
    payload: Payload,
    raw: bytes,
    queue: str,
    place: str,
    error: BaseException,
    now: float,
    draw: Callable[[], float] = random.random,
) -> Ending:
    """The ending of a job, ``place``: its own among the running; whoever wants to hear of it has heard."""
    handlers = settings.death_handlers
    hear("error handler", settings.error_handlers, payload.fields, error)
    try:
        found = after_failure(raw, queue, job, error, now, draw(), handlers)
    except Exception as fault:  # noqa: BLE001 - numbers that no formula was made for; the job must not be lost
        log.warn(f"a payload that cannot be tried again goes to the dead: {type(fault).__name__}: {fault}")
        mourn(handlers, payload.fields, error)
        found = Destination(End.DEAD, now, raw)
    options = job.options if job is not None else None
    return endings.ending(settings.keys, found.end, payload, options, place, now, _stored(settings, found))


def _stored(settings: Settings, found: Destination) -> tuple[Step, ...]:
    if found.end is End.RETRY:
        return (Step("ZADD", settings.keys.retry, (repr(found.score), found.payload)),)
    return endings.buried(settings.keys, found.payload, found.score) if found.end is End.DEAD else ()
