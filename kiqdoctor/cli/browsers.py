"""The live view in browsers, by textual-serve: a process for each tab, read-only; strange origins are refused."""

import shlex
import sys
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(host: str, port: int, words: Sequence[str]) -> None:
    """Until interrupted. ``words``: the command line that each browser's screen is started with.

    Raises:
        OSError: the port is in use, or the address is not ours.
    """
    command = [sys.executable, "-m", "kiqdoctor", *words, "--read-only"]
    shown = f"[{host}]" if ":" in host else host
    _Server(
        shlex.join(command), host=host, port=port, title="kiqdoctor top", public_url=f"http://{shown}:{port}"
    ).serve()


class _Server(Server):
    async def _make_app(self) -> web.Application:
        app: web.Application = await super()._make_app()
        app.middlewares.append(_own_pages_only)
        return app


@web.middleware
async def _own_pages_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A page of somewhere else must not read this one through its visitor's browser, by whatever name it calls us."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text="another origin\n")
    return await handler(request)
