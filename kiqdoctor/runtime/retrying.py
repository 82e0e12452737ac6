"""What becomes of a job that failed: tried again, dead, or gone. Pure but for the user's own callables."""

import traceback
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final, Literal

import msgspec

from kiqdoctor.runtime import log
from kiqdoctor.runtime.endings import End
from kiqdoctor.runtime.hearing import JobHandler, guarded, message, mourn
from kiqdoctor.runtime.job import Job
from kiqdoctor.wire import backoff
from kiqdoctor.wire.fields import BACKTRACE, DEAD, ERROR_BACKTRACE, FAILED_AT, RETRY, RETRY_FOR
from kiqdoctor.wire.payload import Payload, PayloadError, Plain, failed, failed_first, pack_backtrace, read
from kiqdoctor.wire.stamps import spelt

BACKTRACE_LINES: Final = 1_000
LONGEST_RETRY_IN: Final = 1_000_000_000  # seconds; a score beyond it is nobody's wish
_HARMLESS: Final = str.maketrans("<>&", "()+")


class Destination(msgspec.Struct, frozen=True, gc=False):
    """Where a job goes that failed: to ``retry`` or ``dead``, with score and new payload, or nowhere."""

    end: Literal[End.RETRY, End.DEAD, End.DROPPED] = End.DROPPED
    score: float = 0.0  # epoch seconds
    payload: bytes = b""


def after_failure(
    raw: bytes,
    queue: str,
    job: Job[..., object] | None,
    error: BaseException,
    now: float,
    fraction: float,
    handlers: Sequence[JobHandler] = (),
) -> Destination:
    """As Sidekiq decides it: the original payload is counted up, whatever middleware saw."""
    try:
        payload = read(raw)
    except PayloadError:
        return Destination(End.DEAD, now, raw)
    retry = payload.fields.get(RETRY)
    if retry is None:
        retry = job.options.retry if job else True
    limit = backoff.limit(retry)
    if limit is None:
        mourn(handlers, payload.fields, error)
        return Destination()
    counted = _counted(payload, queue, error, now)
    count = counted.retry_count or 0
    chosen = _chosen(job, count, error)
    if chosen == "discard":
        mourn(handlers, counted.fields, error)
        return Destination()
    if chosen == "kill" or _spent(counted, limit, now):
        return _exhausted(counted, job, error, now, handlers)
    delay = chosen + backoff.jitter(count, fraction) if isinstance(chosen, int) else backoff.delay(count, fraction)
    return Destination(End.RETRY, float(spelt(now).later(delay)), counted.encode())


def after_first_failure(
    raw: bytes, record: Plain, queue: str, job: Job[..., object], error: BaseException, now: float, fraction: float
) -> tuple[str, str] | None:
    """The same of most failures, at a tenth of the cost. None where more is to be decided.

    The score, and what the payload has in the place of its last byte.
    """
    retry = record.retry
    if retry is None:
        retry = job.options.retry
    if (
        (retry is not True and (backoff.limit(retry) or 0) <= 0)
        or record.queue != queue
        or job.options.retry_in is not None
        or not record.untried
    ):
        return None
    at = spelt(now)
    try:
        tail = failed_first(raw, record, error_name(error), message(error), at)
    except Exception:  # noqa: BLE001 - a class may be called anything: the general way says what becomes of it
        return None
    return None if tail is None else (at.later(backoff.delay(0, fraction)), tail)


def _spent(counted: Payload, limit: int, now: float) -> bool:
    """``retry_for`` replaces the count, as from Sidekiq 8.1 on."""
    window = counted.fields.get(RETRY_FOR)
    if isinstance(window, int | float) and not isinstance(window, bool):
        since = counted.at(FAILED_AT)
        if since is not None:
            return since + window < now
    return (counted.retry_count or 0) >= limit


def _exhausted(
    counted: Payload, job: "Job[..., object] | None", error: BaseException, now: float, handlers: Sequence[JobHandler]
) -> Destination:
    answer = None
    if job is not None and job.options.retries_exhausted is not None:
        answer = guarded("retries_exhausted", job.options.retries_exhausted, dict(counted.fields), error)
    mourn(handlers, counted.fields, error)
    keep = counted.fields.get(DEAD, job.options.dead if job else True)
    if answer == "discard" or keep is False:
        return Destination()
    return Destination(End.DEAD, now, counted.encode())


def _counted(payload: Payload, queue: str, error: BaseException, now: float) -> Payload:
    counted = failed(payload.spared(), error_name(error), message(error), queue, now)  # it ended: it does not kill
    wanted = payload.fields.get(BACKTRACE)
    if not wanted:
        return counted
    kept = wanted if isinstance(wanted, int) and wanted is not True else BACKTRACE_LINES
    return counted.with_(**{ERROR_BACKTRACE: pack_backtrace(_frames(error)[:kept])})


def _frames(error: BaseException) -> list[str]:
    """Places in code and nothing else, innermost first: Sidekiq's web UI shows them as they are, as HTML."""
    frames = traceback.extract_tb(error.__traceback__)[::-1]
    return [f"{one.filename}:{one.lineno}:in `{one.name}'".translate(_HARMLESS) for one in frames]


def error_name(error: BaseException) -> str:
    """The class as Python spells it: builtins without their module."""
    kind = type(error)
    try:
        return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    except BaseException:  # noqa: BLE001 - a class may have names that raise anything when asked
        return "Exception"


def _chosen(job: "Job[..., object] | None", count: int, error: BaseException) -> int | str | None:
    """What ``retry_in`` says: whole seconds, "kill", "discard", or None for the usual."""
    if job is None or job.options.retry_in is None:
        return None
    try:
        return _understood(job.options.retry_in(count, error))
    except BaseException as fault:  # noqa: BLE001 - a fault in the user's formula falls back to ours
        log.warn(f"retry_in of {job.shown}: {type(fault).__name__}: {message(fault)}")
        return None


def _understood(answer: Any) -> int | str | None:
    if answer is None or answer in ("kill", "discard"):
        return None if answer is None else str(answer)
    seconds = answer.total_seconds() if isinstance(answer, timedelta) else answer
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        raise ValueError(f"answers seconds, a timedelta, 'kill', 'discard' or None, not {answer!r:.100}")
    whole = min(int(seconds), LONGEST_RETRY_IN)
    return whole if whole > 0 else None
