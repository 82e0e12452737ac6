"""Jobs that are not plain, each as little as it can be: ``kiqdoctor work benchmarks.peers.kinds``."""

import sys
from collections.abc import Iterator
from typing import Any, Final

from benchmarks.peers.work import URL, noop

import kiqdoctor


def fail(number: int) -> None:
    """Count, and fail."""
    noop(number)
    raise ValueError("as it is meant to")


def step(number: int, *, cursor: int | None) -> Iterator[int]:
    """Count, in one step."""
    noop(number)
    yield cursor or 0


async def wait_for_nothing(number: int) -> None:
    """Count, on the event loop."""
    noop(number)


def noted(_batch: str) -> None:
    """Called back."""


def _made(name: str, function: Any = noop, **options: Any) -> Any:
    return kiqdoctor.job(name=name, **options)(function)


KINDS: Final[dict[str, Any]] = {
    "plain": _made("Plain"),
    "unique": _made("Unique", unique_for=3600),
    "expiring": _made("Expiring", expires_in=3600),
    "batch": _made("Batched"),
    "status": _made("Told", status=True),
    "failing": _made("Failing", fail),
    "iterable": _made("Iterable", step),
    "limited": _made("Limited", limit=1_000),
    "rate": _made("Rated", rate=(10_000_000, 3600)),
    "async": _made("Async", wait_for_nothing),
}

over: Final = _made("Over", noted)


def fill(kind: str, count: int) -> None:
    """So many of them wait."""
    args = [[number] for number in range(count)]
    if kind == "batch":
        with kiqdoctor.Batch(on_success=over):
            KINDS[kind].perform_bulk(args)
    else:
        KINDS[kind].perform_bulk(args)


if __name__ == "__main__":
    kiqdoctor.configure(redis=URL)
    fill(sys.argv[2], int(sys.argv[3]))  # after the word that every producer takes
