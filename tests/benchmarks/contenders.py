"""Who is measured, how each is started, and with which settings."""

import functools
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import roots
from roots import HERE, SID, Place, Root, Suite

THREADS: Final = "10"
RUBY: Final = Path(__file__).parent / "peers" / "sidekiq.rb"
SHARED: Final = Path("/dev/shm")  # a file on disk is written back now and then
# What is shared is seen under the other root too, until the process is gone: its mounts are its own.
SHARING: Final = (*roots.PRIVATE, "sh", "-c", f'mount --bind {SHARED} "$1{SHARED}" && shift && exec "$@"', "share")


@dataclass(frozen=True, slots=True)
class Contender:
    """A runtime in one configuration. ``{url}`` in its command is the address of Redis."""

    name: str
    worker: tuple[str, ...]
    client: tuple[str, ...]
    queue: str  # the key in which its jobs wait
    guess: int  # no-op jobs a second, to size the first run
    killed: str  # what becomes of running jobs at kill -9
    packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    stream: bool = False  # the queue is a stream, whose length says nothing of what was taken
    bulk: bool = False
    every_workload: bool = False
    own_client: bool = True  # False where another of our contenders enqueues in just the same way
    job: str = ""  # the one kind of jobs that it is asked for, which must have been told too
    suite: Suite | None = None  # of Debian, whose programs it is made of; None: this host's

    @property
    def ruby(self) -> bool:
        return self.client[0] == "ruby"

    @property
    def place(self) -> Place:
        """Where its programs run."""
        return HERE if self.suite is None else Root(self.suite.path)

    def command(self, words: Sequence[str], folder: Path) -> list[str]:
        """What starts a program of its own in this folder of its place; it sees what is shared."""
        told = self.place.command(words, folder)
        return told if self.suite is None else [*SHARING, str(self.suite.path), *told]

    def versions(self) -> dict[str, str] | None:
        """What is installed, by name; None when something is not. Another root is built where it is missing."""
        if self.ruby:
            return _ruby(self.suite, self.environment.get("RUBYOPT", ""))
        try:
            return {name: version(name) for name in self.packages}
        except PackageNotFoundError:
            return None

    @property
    def advice(self) -> str:
        """How to get it."""
        requirements = os.path.relpath(Path(__file__).parent / "requirements.txt")
        if self.suite is not None:
            return roots.missing(self.suite)
        return "apt install ruby-sidekiq" if self.ruby else f"pip install -r {requirements}"


@functools.cache
def _ruby(suite: Suite | None, options: str) -> dict[str, str] | None:
    """Versions of Sidekiq and Ruby, where both run with these options."""
    if roots.missing(suite) if suite is not None else not (shutil.which("sidekiq") and shutil.which("ruby")):
        return None
    place = HERE if suite is None else Root(suite.path)
    environment = {**os.environ, "RUBYOPT": options}
    said = []
    for command in (["sidekiq", "--version"], ["ruby", "-v"]):
        words = place.command(command, Path("/") if suite is None else suite.path / "tmp")
        ran = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
        found = re.search(r"\d+\.\d+\.\d+(?:p\d+)?", ran.stdout)
        if ran.returncode or found is None:
            return None
        said.append(found[0])
    return {"sidekiq": said[0], "ruby": said[1] + (" YJIT" if "yjit" in options else "")}


def _module(name: str) -> str:
    return f"benchmarks.peers.{name}"


def _client(name: str) -> tuple[str, ...]:
    return (sys.executable, "-m", _module(name))


def _celery(name: str, late: str, killed: str) -> Contender:
    # Gossip, mingle and the remote heartbeat off: what its own users are told to leave off where speed matters.
    off = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    command = (sys.executable, "-m", "celery", "-A", f"{_module('celery')}:app", "worker", *off)
    return Contender(
        name=name,
        worker=(*command, "--pool", "threads", "--concurrency", THREADS),
        client=_client("celery"),
        queue="celery",
        guess=1_000,
        killed=killed,
        packages=("celery", "kombu", "redis", "hiredis"),
        environment={"BENCH_LATE": late},
        own_client=late == "0",
    )


def _taskiq(name: str, stream: str, killed: str) -> Contender:
    command = (sys.executable, "-m", "taskiq", "worker", f"{_module('taskiq')}:broker")
    return Contender(
        name=name,
        worker=(*command, "--workers", "1", "--max-async-tasks", THREADS),
        client=_client("taskiq"),
        queue="taskiq",
        guess=3_000,
        killed=killed,
        packages=("taskiq", "taskiq-redis", "redis", "hiredis"),
        environment={"BENCH_STREAM": stream},
        stream=stream == "1",
    )


def _sidekiq(name: str, options: str, suite: Suite | None = None) -> Contender:
    return Contender(
        name=name,
        worker=("sidekiq", "-r", f"./{RUBY.name}", "-c", THREADS),
        client=("ruby", f"./{RUBY.name}"),
        queue="queue:default",
        guess=8_000,
        killed="lost",
        environment={"RUBYOPT": options},
        bulk=True,
        every_workload=True,
        suite=suite,
    )


def _floor(name: str, *words: str) -> Contender:
    return Contender(
        name=name,
        worker=(*_client("floor"), "work", *words),
        client=_client("floor"),
        queue="queue:default",
        guess=150_000,
        killed="kept",
        packages=("hiredis", "msgspec"),
        bulk=True,
        every_workload=not words,
        own_client=not words,
    )


OURS: Final = Contender(
    name="kiqdoctor",
    worker=(sys.executable, "-m", "kiqdoctor", "work", _module("kiqdoctor"), "-c", THREADS, "--redis", "{url}"),
    client=_client("kiqdoctor"),
    queue="queue:default",
    guess=50_000,
    killed="kept",
    packages=("kiqdoctor", "redis", "hiredis", "msgspec"),
    bulk=True,
    every_workload=True,
)
SPECIAL: Final = "kind:"  # before the name of one of our kinds of jobs
KINDS: Final = tuple(
    replace(
        OURS,
        name=f"{SPECIAL}{kind}",
        worker=tuple(word.replace(_module("kiqdoctor"), _module("kinds")) for word in OURS.worker),
        client=_client("kinds"),
        guess=10_000,
        every_workload=False,
        job=kind,
    )
    for kind in (
        *("plain", "expiring", "unique", "batch", "iterable", "status", "rate", "limited", "failing", "async"),
    )
)
FLOOR: Final = _floor("floor")
SIDEKIQ: Final = (_sidekiq("sidekiq", ""), _sidekiq("sidekiq-yjit", "--yjit"))
NEWEST: Final = _sidekiq("sidekiq-8-yjit", "--yjit", SID)
PYTHON: Final = (
    Contender(
        name="dramatiq",
        worker=(sys.executable, "-m", "dramatiq", _module("dramatiq"), "--processes", "1", "--threads", THREADS),
        client=_client("dramatiq"),
        queue="dramatiq:default",
        guess=2_500,
        killed="kept, minutes",
        packages=("dramatiq", "redis", "hiredis"),
        every_workload=True,
    ),
    _taskiq("taskiq-list", "0", "lost"),
    _taskiq("taskiq-stream", "1", "kept, 10 min"),
    Contender(
        name="huey",
        worker=(sys.executable, "-m", "huey.bin.huey_consumer", f"{_module('huey')}.huey", "-w", THREADS),
        client=_client("huey"),
        queue="huey.redis.bench",
        guess=2_500,
        killed="lost",
        packages=("huey", "redis", "hiredis"),
    ),
    _celery("celery", "0", "lost"),
    _celery("celery-late", "1", "kept, 1 h"),
)
ALL: Final = (OURS, FLOOR, _floor("floor-simple", "simple"), *SIDEKIQ, NEWEST, *PYTHON, *KINDS)
