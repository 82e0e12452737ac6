"""`top --serve` answers whoever reaches its port: it writes nothing, attaches to nothing, and starts only so many."""

import asyncio
import os
import socket
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from servers import RedisServer

from kiqdoctor.answering import Pages, netloc, stays_here
from kiqdoctor.clock import SYSTEM
from kiqdoctor.connection import resolve_url
from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.living import Live
from kiqdoctor.top import browsers
from kiqdoctor.top.saving import ELSEWHERE, Saving

HERE = Process(
    f"{socket.gethostname()}:{os.getpid()}:0123456789ab", True, hostname=socket.gethostname(), pid=os.getpid()
)


class Looking:
    """A view that is asked to save."""

    source, said = object(), ""

    def tell(self, text: str, severity: str) -> None:
        del severity
        self.said = text


def test_nothing_is_written(tmp_path: Path) -> None:
    view: Any = Looking()
    before = [*tmp_path.iterdir(), *Path().iterdir()]
    saving = Saving(view, None, SYSTEM)

    saving.picture("queues", "<svg/>")
    assert view.said == ELSEWHERE
    view.said = ""
    saving.snapshot(None, None)
    assert view.said == ELSEWHERE
    assert [*tmp_path.iterdir(), *Path().iterdir()] == before


def test_no_process_is_attached_to(redis_server: RedisServer) -> None:
    asked, address = Asked(redis=redis_server.url), resolve_url(redis_server.url, {})
    outcomes = []
    for from_outside in (False, True):
        live = Live(asked, address, read_only=True, from_outside=from_outside)
        outcomes.append(live.threads(HERE))
        live.close()

    assert isinstance(outcomes[0], Refused)
    assert outcomes[0] != outcomes[1]  # the twin tried


async def _asked(most: int) -> tuple[list[int], int]:
    """What so many sessions and one more are answered, and what the next one is when one has left."""
    leave = asyncio.Event()

    async def session(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"here\n")
        await leave.wait()
        return response

    app = web.Application(middlewares=[browsers._so_many(most)])
    app.router.add_get("/ws", session)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/ws"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as client:
        replies = [await client.get(url) for _ in range(most + 1)]
        leave.set()
        for one in replies:
            await one.read()
        again = await client.get(url)
        statuses = [one.status for one in replies]
        await again.read()
    await runner.cleanup()
    return statuses, again.status


@pytest.mark.parametrize(
    ("host", "origin", "ours"),
    [
        ("127.0.0.1:1", None, True), ("localhost:1", "http://localhost:1", True), ("[::1]:1", "http://[::1]:1", True),
        ("evil.example", None, False), ("127.0.0.1:1", "http://evil.example", False), ("127.0.0.1:1", "null", False),
        ("127.0.0.1:1", "http://127.0.0.1:2", False), ("127.0.0.1:1", "", False), ("[::1", None, False),
        ("127.0.0.1:1", "http://[::1", False), ("127.0.0.1:1@evil", None, False), ("", None, False),
    ],
)  # fmt: skip
def test_only_our_own_pages_ask(host: str, origin: str | None, ours: bool) -> None:
    assert browsers._ours(host, origin, browsers.LOCAL) is ours


@given(st.text(max_size=30), st.none() | st.text(max_size=30))
def test_what_is_no_address_is_not_ours(host: str, origin: str | None) -> None:
    assert browsers._ours(host, origin, browsers.LOCAL) in {True, False}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1", "127.0.0.2", "::1", "localhost"])
def test_what_is_reached_from_here_alone_answers_to_its_own_names_alone(host: str) -> None:
    """However it was written: a page elsewhere whose name was made to mean this host says that name."""
    assert stays_here(host)
    pages = Pages((host, 0), {"/": lambda: (HTTPStatus.OK, "text/plain", "here")}, name="pages", apology="")
    try:
        pages.start()
    except OSError as error:
        pytest.skip(f"{host}: {error.strerror}")
    try:
        port = int(pages.address.rpartition(":")[2])
        for name, status in (("evil.example", 421), ("127.0.0.1", 200), (host if ":" not in host else "[::1]", 200)):
            reply = httpx.get(f"http://{netloc(host, port)}/", headers={"Host": f"{name}:{port}"})
            assert reply.status_code == status, name
    finally:
        pages.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_what_others_reach_is_told(host: str) -> None:
    assert not stays_here(host)
    assert stays_here("::ffff:127.0.0.1")


def test_only_so_many_sessions_at_once() -> None:
    statuses, again = asyncio.run(_asked(3))

    assert statuses == [200, 200, 200, 503]
    assert again == 200
