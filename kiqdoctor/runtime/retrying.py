"""What becomes of a job that failed: tried again, dead, or gone. Pure but for the random fraction that it is given."""

import traceback
from dataclasses import dataclass

from kiqdoctor.runtime.job import Job
from kiqdoctor.wire import backoff
from kiqdoctor.wire.payload import Payload, PayloadError, failed, pack_backtrace, read

BACKTRACE_LINES = 1_000


@dataclass(frozen=True, slots=True)
class Ending:
    """Where the job goes: "retry" or "dead" with its score and its new payload, or "" for nowhere."""

    place: str = ""
    score: float = 0.0
    payload: bytes = b""


def after_failure(
    raw: bytes, queue: str, job: Job[..., object] | None, error: BaseException, now: float, fraction: float
) -> Ending:
    """As Sidekiq decides it: the original payload is counted up, whatever middleware saw."""
    try:
        payload = read(raw)
    except PayloadError:
        return Ending("dead", now, raw)
    limit = backoff.limit(payload.fields.get("retry", job.options.retry if job else True))
    if limit is None:
        return Ending()
    counted = _counted(payload, queue, error, now)
    count = counted.retry_count or 0
    if count >= limit:
        keep = payload.fields.get("dead", job.options.dead if job else True)
        return Ending("dead", now, counted.encode()) if keep is not False else Ending()
    return Ending("retry", now + _delay(job, count, error, fraction), counted.encode())


def _counted(payload: Payload, queue: str, error: BaseException, now: float) -> Payload:
    name = type(error).__qualname__ if type(error).__module__ == "builtins" else (
        f"{type(error).__module__}.{type(error).__qualname__}")  # fmt: skip
    counted = failed(payload, name, _message(error), queue, now)
    wanted = payload.fields.get("backtrace")
    if not wanted:
        return counted
    lines = [line for chunk in traceback.format_exception(error) for line in chunk.rstrip().split("\n")]
    kept = lines[-wanted:] if isinstance(wanted, int) and wanted is not True else lines[:BACKTRACE_LINES]
    return counted.with_(error_backtrace=pack_backtrace(kept))


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an exception's own text may raise anything
        return "!!! the exception's message raised an exception itself"


def _delay(job: "Job[..., object] | None", count: int, error: BaseException, fraction: float) -> int:
    if job is not None and job.options.retry_in is not None:
        try:
            chosen = job.options.retry_in(count, error)
        except Exception:  # noqa: BLE001 - a fault in the user's formula falls back to ours
            chosen = None
        if chosen is not None and chosen > 0:
            return int(chosen) + backoff.jitter(count, fraction)
    return backoff.delay(count, fraction)
