"""The live view in a browser: headless Chromium on `top --serve`, and who may ask for it."""

import asyncio
import base64
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
import redis as redis_py
from doctoring import SECRETS
from servers import RedisServer, eventually, free_port
from workers import Worker

BLANK: Final = 20  # different rows of pixels; a blank page and a splash have fewer
CHROMIUM = shutil.which("chromium")
APP = "from kiqdoctor import job\n\n@job\ndef nothing(): pass\n"
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--window-size=1200,800"),
)


@contextmanager
def served(url: str, *words: str) -> Iterator[str]:
    """The address of `kiqdoctor top --serve`."""
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if name not in SECRETS}
    command = [sys.executable, "-m", "kiqdoctor", "top", "--serve", "--listen", str(port), "--redis", url, "--isolated"]
    process = subprocess.Popen(
        [*command, *words], env=kept, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    address = f"127.0.0.1:{port}"
    try:
        eventually(lambda: asyncio.run(status(f"http://{address}/")) == 200, "the page")
        yield address
    finally:
        process.terminate()
        process.wait(60)


async def status(url: str, **headers: str) -> int:
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url, headers=headers) as reply:
                return reply.status
        except aiohttp.ClientConnectionError:
            return 0


def viewers(redis: "redis_py.Redis") -> int:
    clients: Any = redis.client_list()
    return sum(client["name"] == "kiqdoctor-top" for client in clients)


def test_pages_of_other_origins_are_refused(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    with served(redis_server.url) as address:
        for path in ("/", "/ws"):
            assert asyncio.run(status(f"http://{address}{path}", Origin="http://evil.example")) == 403
        assert asyncio.run(status(f"http://{address}/", Host="evil.example")) == 403
        assert asyncio.run(status(f"http://{address}/", Origin=f"http://{address}")) == 200
        assert viewers(redis) == 0


@pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="chromium is not installed")
def test_the_screen_is_drawn_in_a_browser_and_can_change_nothing(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    redis.zadd("retry", {'{"class":"A","jid":"1","args":[],"queue":"q"}': 1e12})
    with served(redis_server.url) as address, Worker.start(APP, redis_server.url) as worker:
        rows = asyncio.run(visit(f"http://{address}/", tmp_path, worker))
        eventually(lambda: viewers(redis) == 0, "the screen's end, with its browser")

    assert min(rows) > BLANK
    assert redis.zcard("retry") == 1


async def visit(url: str, folder: Path, worker: Worker) -> list[int]:
    """Look at the page and press keys on it, before a worker is killed and after; different rows of each picture."""
    async with browser(folder) as page:
        await page.send("Page.navigate", url=url)
        await page.drawn()
        found = []
        for keys in ("5Dy2", "8"):
            for key in keys:
                await page.send("Input.dispatchKeyEvent", type="keyDown", text=key)
                await page.send("Input.dispatchKeyEvent", type="keyUp", text=key)
                await asyncio.sleep(0.7)
            found.append(await page.drawn())
            worker.kill()
        return found


def different(png: bytes) -> int:
    """How many different rows of pixels the picture has."""
    data, at = b"", 8
    width = int.from_bytes(png[16:20], "big")
    while at < len(png):
        length = int.from_bytes(png[at : at + 4], "big")
        if png[at + 4 : at + 8] == b"IDAT":
            data += png[at + 8 : at + 8 + length]
        at += 12 + length
    raw = zlib.decompress(data)
    line = 1 + width * (4 if png[25] == 6 else 3)
    return len({raw[start : start + line] for start in range(0, len(raw), line)})


class Page:
    """One page of a browser, by its debugging protocol."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket, 0

    async def send(self, method: str, **params: Any) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": params})
        while True:
            told = await self._socket.receive_json(timeout=120)
            if told.get("id") == self._number:
                return told.get("result", {})

    async def drawn(self) -> int:
        """Different rows of its picture, once they are more than of a splash; at last however many there are."""
        for _ in range(120):
            shot = await self.send("Page.captureScreenshot", format="png")
            found = different(base64.b64decode(shot["data"])) if "data" in shot else 0  # none while it is navigating
            if found > BLANK:
                break
            await asyncio.sleep(0.5)
        return found


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    """A browser of its own, gone at the end."""
    assert CHROMIUM is not None, "chromium is not installed"
    port = free_port()
    words = [f"--remote-debugging-port={port}", "--remote-allow-origins=*", f"--user-data-dir={folder}/profile"]
    nowhere = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        CHROMIUM, *FLAGS, *words, "about:blank", stdout=nowhere, stderr=nowhere
    )
    try:
        async with aiohttp.ClientSession() as session:
            for _ in range(1_200):
                try:
                    async with session.get(f"http://127.0.0.1:{port}/json") as reply:
                        pages = [one for one in await reply.json() if one["type"] == "page"]
                        if pages:
                            break
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.1)
            async with session.ws_connect(pages[0]["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                yield Page(socket)
    finally:
        process.kill()
        await process.wait()
