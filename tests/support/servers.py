"""Real Redis servers for tests: loopback, a free port, stopped by pid."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis

from kiqdoctor import embedded

DEADLINE: Final = 20.0  # seconds for a server to come up, and for eventually()


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def binary() -> str:
    """The system's redis-server, else what the product would embed; a wheel may have put an old one beside Python."""
    path = os.pathsep.join(one for one in os.get_exec_path() if not (Path(one).parent / "pyvenv.cfg").exists())
    return shutil.which("redis-server", path=path) or str(embedded.find(os.environ).path)


@dataclass
class RedisServer:
    """One server process; ``settings`` are further lines of its configuration. Keeps its port over a restart."""

    settings: Mapping[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    password: str = ""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="test-redis-")))
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def start(cls, settings: Mapping[str, str] | None = None, *, password: str = "") -> "Iterator[RedisServer]":
        """A running server, gone at the end."""
        server = cls(settings or {}, password=password)
        try:
            server.up()
            yield server
        finally:
            server.down()
            shutil.rmtree(server.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    @property
    def url(self) -> str:
        secret = f":{self.password}@" if self.password else ""
        return f"redis://{secret}127.0.0.1:{self.port}/0"

    def client(self, **options: Any) -> "redis.Redis":
        """A client that answers bytes; the caller closes it."""
        return redis.Redis.from_url(self.url.removesuffix("/0"), decode_responses=False, **options)

    def up(self) -> None:
        """Start it and wait until it answers."""
        command = [binary(), *self._arguments()]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, stdin=subprocess.DEVNULL)
        eventually(self._answers, f"redis-server: {self.log()[-500:]}")

    def down(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it; SIGKILL for a crash."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGCONT)
        self.process.send_signal(number)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def log(self) -> str:
        """What the server printed."""
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def _arguments(self) -> list[str]:
        lines = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            **({"requirepass": self.password} if self.password else {}),
            **self.settings,
        }
        return [word for name, value in lines.items() for word in (f"--{name}", *(value.split(" ") if value else [""]))]

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        client = self.client(socket_timeout=1)
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        finally:
            client.close()


def eventually(holds: Any, what: str = "", *, seconds: float = DEADLINE) -> Any:
    """Ask until the answer is true, and return it; fail only after a time that no healthy machine needs."""
    deadline = time.monotonic() + seconds
    while True:
        if found := holds():
            return found
        assert time.monotonic() < deadline, f"still not so after {seconds:g} s: {what or holds}"
        time.sleep(0.01)
