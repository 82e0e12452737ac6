"""When a failed job runs again: Sidekiq's formula."""

from typing import Final

DEFAULT_RETRIES: Final = 25


def base_delay(count: int) -> int:
    """Seconds before jitter; ``count`` is the payload's new retry_count, 0 after the first failure."""
    return count * count * count * count + 15


def jitter(count: int, fraction: float) -> int:
    """Seconds on top: any integer below 10 * (count + 1), as Sidekiq 8 draws it; ``fraction`` is random in [0, 1)."""
    return int(fraction * 10 * (count + 1))


def delay(count: int, fraction: float) -> int:
    """Seconds until the next try."""
    return base_delay(count) + jitter(count, fraction)


def limit(retry: object, default: int = DEFAULT_RETRIES) -> int | None:
    """The largest number of retries that the payload's ``retry`` allows; None = the job is not even kept as dead."""
    if retry is None or retry is True:
        return default
    if retry is False:
        return None
    return retry if isinstance(retry, int) else default
