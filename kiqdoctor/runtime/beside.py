"""What would block an event loop, done beside it: a few threads that push and ask for whoever awaits them."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from kiqdoctor.runtime import forking
from kiqdoctor.wire.connections import PUSHING

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

P = ParamSpec("P")
R = TypeVar("R")

_lock = threading.Lock()
_pool: "ThreadPoolExecutor | None" = None


async def beside(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Its result, from a thread of ours: the loop's own executor may be full of the application's work.

    Who is cancelled hears no answer; what was begun is done all the same.
    """
    from asyncio import get_running_loop

    context = copy_context()
    return await get_running_loop().run_in_executor(_threads(), lambda: context.run(call, *args, **kwargs))


def _threads() -> "ThreadPoolExecutor":
    global _pool  # noqa: PLW0603 - one for the process
    with _lock:
        if _pool is None:
            from concurrent.futures import ThreadPoolExecutor

            _pool = ThreadPoolExecutor(PUSHING, "kiq.beside")
        return _pool


def _forget() -> None:
    """In a child after fork: the threads are not here."""
    global _lock, _pool
    _lock, _pool = threading.Lock(), None


forking.in_child(_forget)
