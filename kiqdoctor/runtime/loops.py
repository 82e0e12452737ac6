"""The process's one event loop, for jobs that are ``async def``; made when the first of them runs."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

_lock = threading.Lock()
_loop: asyncio.AbstractEventLoop | None = None


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Its result, waited for by the calling thread; the caller's context variables hold there too."""
    return asyncio.run_coroutine_threadsafe(coroutine, _running()).result()


def _running() -> asyncio.AbstractEventLoop:
    global _loop  # noqa: PLW0603 - one for the process
    with _lock:
        if _loop is None or _loop.is_closed():
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, daemon=True, name="kiq.loop").start()
        return _loop


def forget() -> None:
    """In a child after fork: the loop's thread is not here."""
    global _loop  # noqa: PLW0603
    _loop = None


def stop() -> None:
    """No job runs any more."""
    global _loop  # noqa: PLW0603
    with _lock:
        if _loop is not None:
            _loop.call_soon_threadsafe(_loop.stop)
            _loop = None
