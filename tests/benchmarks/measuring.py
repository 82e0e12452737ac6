"""One measurement of one contender, on a fresh Redis, counted from outside."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import redis
from benchmarks.contenders import RUBY, SHARED, Contender
from benchmarks.peers.tally import STARTED, Tally
from servers import RedisServer

POLL: Final = 0.005  # seconds between two looks at the count; the greatest error of the end
SAMPLE: Final = 0.05  # seconds between two looks at the queue
STALLED: Final = 30.0  # seconds without an execution: no result
SETTLE: Final = 0.5  # seconds in which a job too many would show
REST: Final = 1.0  # seconds from the first job to the idle process that is weighed
WARM: Final = 10  # jobs that a producer sends before its stamped ones
RATES: Final = (100, 1_000)  # jobs a second of the latency runs
BURST: Final = 30  # jobs at once in the mixed run, ten times a second
LONG: Final = 100  # one of so many sleeps for a second there
OTHERS: Final = frozenset({"REDIS_PROVIDER", "RUBYOPT", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"})
"""Settings of whoever calls us that would change what is measured."""
TICKS: Final = os.sysconf("SC_CLK_TCK")
PAGE: Final = os.sysconf("SC_PAGE_SIZE")

Figures = dict[str, float]


class NoResultError(Exception):
    """The count is wrong, or there is none; with what is known of it."""


@dataclass
class Worker:
    """A contender's process and its children, in a session of their own."""

    process: subprocess.Popen[bytes]
    spawned: int  # CLOCK_MONOTONIC ns

    @property
    def _members(self) -> Iterator[tuple[Path, list[str]]]:
        for folder in Path("/proc").iterdir():
            if folder.name.isdigit():
                with suppress(OSError):
                    fields = (folder / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[3]) == self.process.pid:
                        yield folder, fields

    @property
    def cpu(self) -> float:
        """Seconds on a core, of all that live, and of their children that ended."""
        return sum(int(ticks) for _, fields in self._members for ticks in fields[11:15]) / TICKS

    @property
    def rss(self) -> float:
        """MB resident, added up: what processes share counts for each."""
        pages = 0
        for folder, _ in self._members:
            with suppress(OSError):
                pages += int((folder / "statm").read_text().split()[1])
        return pages * PAGE / 1e6

    def kill(self) -> None:
        """All of them; Redis goes too, so nobody's manners are missed."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def _folder(contender: Contender) -> Iterator[Path]:
    """Where its programs run, with what they need there."""
    folder = contender.place.folder("bench-")
    try:
        if contender.ruby:
            shutil.copy(RUBY, folder)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@dataclass
class Stage:
    """A fresh Redis, empty cells, and a contender that has not been started."""

    contender: Contender
    server: RedisServer
    redis: Any
    tally: Tally
    folder: Path
    environment: Mapping[str, str]
    asked: int = 0  # commands of ours since the statistics were reset

    @classmethod
    @contextmanager
    def open(cls, contender: Contender, settings: Mapping[str, str]) -> "Iterator[Stage]":
        """Everything is gone at the end."""
        with (
            _folder(contender) as folder,
            tempfile.NamedTemporaryFile(prefix="bench-", dir=SHARED if SHARED.is_dir() else None) as cells,
            RedisServer.start(settings) as server,
            server.client() as client,
        ):
            environment = {
                **{name: value for name, value in os.environ.items() if name not in OTHERS},
                "PYTHONPATH": str(Path(__file__).resolve().parent.parent),
                "REDIS_URL": server.url,
                "BENCH_REDIS_URL": server.url,
                "BENCH_TALLY": cells.name,
                **contender.environment,
            }
            yield cls(contender, server, client, Tally.create(Path(cells.name)), folder, environment)

    def produce(self, *words: object) -> str:
        """What the contender's producer printed."""
        command = [*self.contender.client, *map(str, words)]
        ran = subprocess.run(
            self.contender.command(command, self.folder),
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=self.folder,
            check=False,
            timeout=600,
        )
        if ran.returncode:
            said = ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"]
            raise NoResultError(f"its producer ({words[0]}) failed: {said[-1][-300:]}")
        return ran.stdout

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Started as its users start it; what it says goes to a file."""
        command = [word.replace("{url}", self.server.url) for word in self.contender.worker]
        with (self.folder / "log").open("ab") as log:
            spawned = time.monotonic_ns()
            process = subprocess.Popen(
                self.contender.command(command, self.folder),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment,
                cwd=self.folder,
                start_new_session=True,
            )
        worker = Worker(process, spawned)
        try:
            yield worker
        finally:
            worker.kill()

    @property
    def waiting(self) -> int:
        """Jobs in the queue."""
        self.asked += 1
        length = self.redis.xlen if self.contender.stream else self.redis.llen
        return int(length(self.contender.queue))

    def await_(self, worker: Worker, count: int, *, watch: "Watch | None" = None) -> int:
        """When that many jobs had run, in ns."""
        before, moved = self.tally.executed, time.monotonic()
        while (executed := self.tally.executed) < count:
            now = time.monotonic()
            if executed != before:
                before, moved = executed, now
            elif now > moved + STALLED or worker.process.poll() is not None:
                raise NoResultError(f"{executed:,} of {count:,} jobs were run; {self._last_words()}")
            if watch is not None:
                watch.look(self, worker, count)
            time.sleep(POLL)
        return time.monotonic_ns()

    def await_told(self) -> int:
        """When no private list of ours held a job any more, in ns."""
        until = time.monotonic() + STALLED
        while held := self._held():
            if time.monotonic() > until:
                jobs = sum(self.redis.llen(key) for key in held)
                raise NoResultError(f"the ends of {jobs:,} jobs were not told; {self._last_words()}")
            time.sleep(POLL)
        return time.monotonic_ns()

    def _held(self) -> list[Any]:
        """Private lists that hold jobs."""
        self.asked += 1
        return list(self.redis.keys("kiq:taken:*"))  # few keys are there; a SCAN may take several rounds

    def check(self, count: int) -> None:
        """Each job once: a rate with a wrong count is no result."""
        time.sleep(SETTLE)
        if self.tally.executed != count:
            raise NoResultError(f"{self.tally.executed:,} executions of {count:,} jobs")

    def _last_words(self) -> str:
        with (self.folder / "log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 300))
            return f"its last words: {log.read().decode(errors='replace').strip()!r}"


@dataclass
class Meter:
    """Seconds on a core: the worker's, Redis', and all others' beside this process."""

    worker: float
    redis: float
    own: float
    machine: float
    at: float

    @classmethod
    def read(cls, stage: Stage, worker: Worker) -> "Meter":
        """Now."""
        stage.asked += 1
        told = stage.redis.info("cpu")
        busy = [int(ticks) for ticks in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        machine = (sum(busy) - busy[3] - busy[4]) / TICKS  # without idle and waiting for a disk
        used = told["used_cpu_user"] + told["used_cpu_sys"]
        return cls(worker.cpu, used, time.process_time(), machine, time.monotonic())

    def until(self, later: "Meter", jobs: int) -> Figures:
        """What was spent between the two."""
        wall = later.at - self.at
        worker, served, own = later.worker - self.worker, later.redis - self.redis, later.own - self.own
        foreign = later.machine - self.machine - worker - served - own
        return {
            "worker_cpu_us": worker / jobs * 1e6,
            "redis_cpu_us": served / jobs * 1e6,
            "foreign_cores": max(0.0, foreign / wall),
        }


@dataclass
class Watch:
    """Looks at a drain: when it began, and how many jobs had left the queue before they ran."""

    began: Meter | None = None
    held: int = 0
    next: float = field(default_factory=time.monotonic)

    def look(self, stage: Stage, worker: Worker, count: int) -> None:
        """Now and then."""
        if self.began is None and stage.tally.first:
            self.began = Meter.read(stage, worker)
        if stage.contender.stream or time.monotonic() < self.next:
            return
        self.next = time.monotonic() + SAMPLE
        waiting = stage.waiting
        if stage.tally.executed:
            self.held = max(self.held, count - waiting - stage.tally.executed)


def drain(contender: Contender, job: str, count: int, settings: Mapping[str, str]) -> Figures:
    """The queue is full before the worker starts; from its first job to its last."""
    with Stage.open(contender, settings) as stage:
        stage.produce("fill", job, count)
        if stage.waiting != count:
            raise NoResultError(f"{stage.waiting:,} jobs wait after {count:,} were enqueued")
        stage.redis.config_resetstat()
        stage.asked, watch = 0, Watch()
        with stage.worker() as worker:
            ended = stage.await_(worker, count, watch=watch)
            if contender.job:
                ended = stage.await_told()
            cost = _cost(stage, count)
            spent = watch.began.until(Meter.read(stage, worker), count) if watch.began is not None else {}
            rss = worker.rss
            stage.check(count)
        seconds = (ended - stage.tally.first) / 1e9
        held = {} if contender.stream else {"held": float(watch.held)}
        rate = {"jobs": float(count), "seconds": seconds, "rate": (count - 1) / seconds}
        return {**rate, **cost, **spent, **held, "rss_full_mb": rss}


def _cost(stage: Stage, jobs: int) -> Figures:
    """Commands, those in scripts too, and bytes, for each job; what we asked ourselves is taken off."""
    commands = stage.redis.info("commandstats")
    calls = sum(one["calls"] for name, one in commands.items() if name != "cmdstat_config|resetstat")
    told = stage.redis.info("stats")
    return {
        "commands": (calls - stage.asked) / jobs,
        "bytes_in": told["total_net_input_bytes"] / jobs,
        "bytes_out": told["total_net_output_bytes"] / jobs,
    }


def latency(contender: Contender, seconds: float, settings: Mapping[str, str]) -> Figures:
    """Cold start, memory at rest, then the wait from enqueue to start where a warm worker has nothing else to do."""
    with Stage.open(contender, settings) as stage:
        stage.produce("fill", "Stamp", 1)
        with stage.worker() as worker:
            figures = _at_rest(stage, worker)
            done = 1
            for rate in RATES:
                waits = _paced(stage, worker, done, int(rate * seconds), rate, 1)
                figures |= {f"{name}_{rate}": value for name, value in _spread(waits).items()}
                done += len(waits)
            stage.check(done + len(RATES) * WARM)
        return figures


def _at_rest(stage: Stage, worker: Worker) -> Figures:
    stage.await_(worker, 1)
    cold = (stage.tally.cells[STARTED] - worker.spawned) / 1e9
    time.sleep(REST)
    return {"cold_s": cold, "rss_mb": worker.rss}


def _paced(stage: Stage, worker: Worker, first: int, count: int, rate: int, burst: int) -> list[int]:
    before = stage.tally.executed
    stage.produce("pace", first, count, rate, burst)
    stage.await_(worker, before + WARM + count)
    waits = stage.tally.waits(first, count)
    if len(waits) != count:
        raise NoResultError(f"{len(waits):,} of {count:,} jobs were run")
    return waits


def mixed(contender: Contender, seconds: float, settings: Mapping[str, str]) -> Figures:
    """One job of a hundred sleeps for a second: how long do the others wait?"""
    with Stage.open(contender, settings) as stage:
        stage.produce("fill", "Stamp", 1)
        with stage.worker() as worker:
            _at_rest(stage, worker)
            count = int(seconds * 2) * BURST * 10
            waits = _paced(stage, worker, 1, count, BURST * 10, BURST)
            stage.check(1 + WARM + count)
        return _spread([wait for number, wait in enumerate(waits, 1) if number % LONG])


def _spread(waits: Sequence[int]) -> Figures:
    """In milliseconds."""
    cuts = statistics.quantiles(waits, n=100, method="inclusive")
    return {"p50_ms": cuts[49] / 1e6, "p99_ms": cuts[98] / 1e6, "max_ms": max(waits) / 1e6}


def enqueue(contender: Contender, verb: str, seconds: float, settings: Mapping[str, str]) -> Figures:
    """One thread, ``enqueue``: a job a call, or ``bulk``: a thousand."""
    with Stage.open(contender, settings) as stage:
        told = json.loads(stage.produce(verb, seconds).splitlines()[-1])  # Sidekiq's client says first where it goes
        if stage.waiting != told["jobs"] + told["warm"]:
            raise NoResultError(f"{stage.waiting:,} jobs wait after {told['jobs'] + told['warm']:,} were enqueued")
        served = stage.redis.info("cpu")
        sent = told["jobs"] + told["warm"]
        return {
            "jobs": told["jobs"],
            "seconds": told["seconds"],
            "rate": told["jobs"] / told["seconds"],
            "client_cpu_us": told["cpu"] / told["jobs"] * 1e6,
            "redis_cpu_us": (served["used_cpu_user"] + served["used_cpu_sys"]) / sent * 1e6,
        }


def pings(count: int = 2_000) -> float:
    """The control: PINGs a second of one client, on a fresh server; the median of several goes."""
    rates = []
    with RedisServer.start() as server, server.client() as client:
        ask = redis.Redis.ping
        for _ in range(5):
            began = time.perf_counter()
            for _ in range(count):
                ask(client)
            rates.append(count / (time.perf_counter() - began))
    return statistics.median(rates)


def surroundings() -> dict[str, Any]:
    """What the figures depend on beside the contender."""
    with RedisServer.start() as server, server.client() as client:
        told: Any = client.info("server")
    return {
        "python": sys.version.split()[0],
        "redis_server": told.get("valkey_version", told["redis_version"]),
        "system": f"{os.uname().sysname} {os.uname().release}",
        "cores": len(os.sched_getaffinity(0)),
    }
