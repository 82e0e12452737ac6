"""Worker processes of our own runtime, as users start them."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import redis as redis_py
from servers import eventually


def children(pid: int) -> list[int]:
    """Of a process that is there."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    return []


def ended(pid: int) -> bool:
    """Whether nothing of it runs any more."""
    folder = Path(f"/proc/{pid}")
    try:
        state = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()[0]
        return state in {"Z", "X"} and len(list((folder / "task").iterdir())) <= 1  # the first thread may end first
    except OSError:
        return True


@dataclass
class Worker:
    """`kiqdoctor work` in a folder of its own, with the module `app` of the test's text."""

    app: str
    url: str
    words: tuple[str, ...] = ()
    namespace: str = ""
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="test-worker-")))
    process: subprocess.Popen[bytes] | None = None
    _pids: list[int] = field(default_factory=list)

    @classmethod
    @contextmanager
    def start(cls, app: str, url: str, *words: str, namespace: str = "") -> "Iterator[Worker]":
        """A worker whose first beat was seen; gone at the end."""
        worker = cls(app, url, words, namespace)
        try:
            worker.up()
            yield worker
        finally:
            worker.kill()
            shutil.rmtree(worker.folder, ignore_errors=True)

    @property
    def pid(self) -> int:
        """Of the process that runs jobs; where there are several, of the first."""
        return self.pids[0]

    @property
    def pids(self) -> list[int]:
        """Of all that run jobs; of the parent where none is there."""
        assert self.process is not None
        return children(self.process.pid) or self._pids

    def up(self) -> None:
        self.begin()
        eventually(self._seen, "the worker's first beat")

    def begin(self) -> None:
        (self.folder / "app.py").write_text(self.app)
        command = [sys.executable, "-m", "kiqdoctor", "work", "app", "--redis", self.url, *self.words]
        if self.namespace:
            command += ["--namespace", self.namespace]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=dict(os.environ))

    def _seen(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        prefix = f"{self.namespace}:" if self.namespace else ""
        pids = children(self.process.pid)
        with redis_py.Redis.from_url(self.url, decode_responses=True) as client:
            members = client.smembers(f"{prefix}processes")
        self._pids = pids
        enough = any if "--preload" in self.words else all  # one of them forks, and runs no job
        return bool(pids) and enough(any(f":{pid}:" in name for name in members) for pid in pids)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """The exit status after a signal."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(120)

    def kill(self) -> None:
        """As the kernel does, parent and children together."""
        if self.process is None:
            return
        there = children(self.process.pid)
        for pid in there:  # stopped first: who sees its parent go says in Redis that it was asked to end
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in there:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            eventually(lambda pid=pid: ended(pid), f"{pid} was killed")  # else Redis may give it a job still

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace") if path.exists() else ""
