"""The live view in browsers, by textual-serve: a process for each tab, read-only; strange origins are refused."""

import asyncio
import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from kiqdoctor.answering import stays_here

MOST: Final = 8  # screens at once: each is a process with connections of its own
LOCAL: Final = frozenset({"127.0.0.1", "::1", "localhost"})
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(host: str, port: int, words: Sequence[str]) -> None:
    """Until interrupted. ``words``: the command line that each browser's screen is started with.

    Raises:
        OSError: the port is in use, or the address is not ours.
    """
    command = [sys.executable, "-P", "-m", "kiqdoctor", *words, "--read-only", "--for-browsers"]
    shown = f"[{host}]" if ":" in host else host
    _Server(
        shlex.join(command), host=host, port=port, title="kiqdoctor top", public_url=f"http://{shown}:{port}"
    ).serve()


class _Server(Server):
    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()
        app.middlewares.append(_own_pages_only({*LOCAL, self.host} if stays_here(self.host) else set()))
        app.middlewares.append(_so_many(MOST))
        return app


def _own_pages_only(names: AbstractSet[str]) -> Any:
    """A page of somewhere else must not read this one through its visitor's browser, by whatever name it calls us."""

    @web.middleware
    async def refuse(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not _ours(request.host, request.headers.get("Origin"), names):
            raise web.HTTPForbidden(text="another origin\n")
        return await handler(request)

    return refuse


def _ours(host: str, origin: str | None, names: AbstractSet[str]) -> bool:
    """Whether what was asked for, and the page that asks, are ours; what is no address is neither."""
    try:
        asked, came = urlsplit(f"//{host}").hostname or "", urlsplit(origin or "").netloc
    except ValueError:
        return False
    return (not names or asked in names) and (origin is None or came == host)


def _so_many(most: int) -> Any:
    """Screens beyond so many are refused before a process is started for one."""
    places = asyncio.Semaphore(most)

    @web.middleware
    async def bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path != "/ws":
            return await handler(request)
        if places.locked():
            raise web.HTTPServiceUnavailable(text=f"{most} screens are open, and no more at once\n")
        async with places:
            return await handler(request)

    return bounded
