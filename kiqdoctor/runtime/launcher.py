"""All capsules of a process, and its heartbeat."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from kiqdoctor import __version__
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.config import Settings, connect
from kiqdoctor.runtime.fetch import BasicFetch, Fetch, ReliableFetch
from kiqdoctor.runtime.manager import Manager
from kiqdoctor.runtime.processor import Board
from kiqdoctor.runtime.recover import RENEW, Lease, Recovery
from kiqdoctor.runtime.scheduled import Poller
from kiqdoctor.wire.heartbeat import RUNTIME, Info
from kiqdoctor.wire.keys import DAY_STAT_TTL, PROCESS_TTL

BEAT: Final = 5.0  # seconds
TICK: Final = 0.01  # seconds that an acknowledgement waits at most
BESIDE: Final = 5  # connections beside the threads: beat, lease, poller, recovery, give-back


@dataclass(frozen=True, slots=True)
class Options:
    """What a worker is told."""

    settings: Settings
    capsules: tuple[Capsule, ...]
    timeout_s: float = 25.0
    fetch: str = "reliable"
    tag: str = ""
    environment: str = ""
    embedded: bool = False


class Launcher:
    """Start, quiet, stop: a worker's whole life."""

    def __init__(self, options: Options, clock: Clock = SYSTEM) -> None:
        self.options, self._clock = options, clock
        self._keys = options.settings.keys
        threads = sum(one.concurrency for one in options.capsules)
        self.connections = threads + BESIDE
        self._client = connect(options.settings, self.connections)
        self.identity = f"{os.environ.get('DYNO') or socket.gethostname()}:{os.getpid()}:{secrets.token_hex(6)}"
        self._started_at = clock.now()
        self.board = Board()
        self._quiet, self._done = threading.Event(), threading.Event()
        self.hurry = threading.Event()
        queues = tuple(dict.fromkeys(name for one in options.capsules for name in one.names))
        self._queues = queues
        self._lease = Lease(self._client, self._keys, self.identity, queues, clock)
        self._managers: list[Manager] = []
        self._background: list[threading.Thread] = []
        self.on_signal: Callable[[str], None] = self._act

    def start(self) -> None:
        """Reach Redis, then start every thread.

        Raises:
            redis.exceptions.RedisError: it cannot be reached.
        """
        self._client.ping()
        if self.options.fetch == "reliable":
            self._lease.acquire()
        self._managers = [self._manager(capsule) for capsule in self.options.capsules]
        self.beat()
        poller = Poller(self._client, self._keys, self._quiet, self._clock)
        self._background = [poller.thread, self._thread(self._beating, "kiq.heartbeat")]
        self._background.append(self._thread(self._ticking, "kiq.ticker"))
        if self.options.fetch == "reliable":
            recovery = Recovery(self._client, self._keys, lambda: self._lease, self._quiet, self._clock)
            self._background += [recovery.thread, self._thread(self._renewing, "kiq.lease")]
        for thread in self._background:
            thread.start()
        for manager in self._managers:
            manager.start()

    def _manager(self, capsule: Capsule) -> Manager:
        fetch: Fetch
        if self.options.fetch == "reliable":
            fetch = ReliableFetch(self._client, self._keys, capsule, self.identity)
        else:
            fetch = BasicFetch(self._client, self._keys, capsule)
        return Manager(
            capsule.concurrency, fetch, self.board, stopping=self._quiet.is_set, fenced=self._fenced, clock=self._clock
        )

    @staticmethod
    def _thread(target: Callable[[], None], name: str) -> threading.Thread:
        return threading.Thread(target=target, daemon=True, name=name)

    def quiet(self) -> None:
        """Take no more jobs."""
        self._quiet.set()

    def stop(self) -> None:
        """Let running jobs end until the deadline, give back the others, and leave."""
        deadline = self._clock.monotonic() + self.options.timeout_s
        self.quiet()
        for manager in self._managers:
            manager.finish(deadline, self.hurry.is_set, embedded=self.options.embedded)
        self._done.set()
        self._leave()
        log.flush()
        self._client.close()

    def _leave(self) -> None:
        """As a clean exit does: counters told, the member and the work removed; the record expires by itself."""
        try:
            self._count()
            self._client.srem(self._keys.processes, self.identity)
            self._client.unlink(self._keys.work(self.identity), self._keys.workers(self.identity))
            if self.options.fetch == "reliable":
                self._lease.release()
        except Exception as error:  # noqa: BLE001 - we leave anyway
            log.warn(f"could not say goodbye to Redis: {type(error).__name__}: {error}")

    def _fenced(self) -> None:
        """The lease ran out while we were suspended or cut off: others own what we had not started."""
        if self._lease.renew():
            return
        log.warn("our lease ran out; taking it again")
        try:
            self._lease.acquire()
        except Exception as error:  # noqa: BLE001 - the next fetch finds us fenced again
            log.warn(f"lease: {type(error).__name__}: {error}")
            self._done.wait(1.0)

    def _renewing(self) -> None:
        while not self._done.wait(RENEW):
            try:
                if not self._lease.renew():
                    self._fenced()
            except Exception as error:  # noqa: BLE001 - Redis may be away
                log.warn(f"lease: {type(error).__name__}: {error}")

    def _ticking(self) -> None:
        """Acknowledgements that no fetch carries are told soon, and so are log lines."""
        while not self._done.wait(TICK):
            log.flush()
            for manager in self._managers:
                if isinstance(manager.fetch, ReliableFetch) and manager.fetch.waiting():
                    try:
                        manager.fetch.flush()
                    except Exception:  # noqa: BLE001 - the processors log it, and try again
                        self._done.wait(1.0)

    def _beating(self) -> None:
        while not self._done.wait(BEAT):
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001 - a beat that fails is followed by another
                log.warn(f"heartbeat: {type(error).__name__}: {error}")

    def beat(self) -> None:
        """Counters, work in flight, the record, and one signal from the web UI."""
        self._count()
        self._tell_work()
        began = self._clock.monotonic()
        self._client.ping()
        rtt_us = int((self._clock.monotonic() - began) * 1_000_000)
        with self._client.pipeline(transaction=True) as pipe:
            pipe.sadd(self._keys.processes, self.identity)
            pipe.hset(self._keys.process(self.identity), mapping=self._record(rtt_us))
            pipe.expire(self._keys.process(self.identity), PROCESS_TTL)
            pipe.rpop(self._keys.signals(self.identity))
            replies = pipe.execute()
        if replies[-1] is not None:
            self.on_signal(replies[-1].decode("ascii", "replace"))

    def _record(self, rtt_us: int) -> dict[Any, Any]:
        return {
            "info": self._info().encode(),
            "busy": len(self.board.works),
            "beat": self._clock.now(),
            "quiet": "true" if self._quiet.is_set() else "false",
            "rtt_us": rtt_us,
            "rss": _rss_kb(),
            "concurrency": sum(one.concurrency for one in self.options.capsules),
        }

    def _info(self) -> Info:
        host, pid, _ = self.identity.rsplit(":", 2)
        return Info(
            identity=self.identity,
            hostname=host,
            pid=int(pid),
            tag=self.options.tag,
            started_at=self._started_at,
            concurrency=sum(one.concurrency for one in self.options.capsules),
            queues=self._queues,
            labels=("reliable",) if self.options.fetch == "reliable" else (),
            version=__version__,
            embedded=self.options.embedded,
            runtime=RUNTIME,
            capsules=tuple(one.wire for one in self.options.capsules),
        )

    def _count(self) -> None:
        processed, failed = self.board.counted()
        if not processed and not failed:
            return
        day = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%d")
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for name, count in (("processed", processed), ("failed", failed)):
                    pipe.incrby(self._keys.stat(name), count)
                    pipe.incrby(self._keys.stat(name, day), count)
                    pipe.expire(self._keys.stat(name, day), DAY_STAT_TTL)
                pipe.execute()
        except Exception:
            self.board.put_back(processed, failed)
            raise

    def _tell_work(self) -> None:
        """Under both names: readers up to 6.4.1 look at ``:workers``, later ones at ``:work``."""
        entries: dict[Any, Any] = {one.thread: one.encode() for one in self.board.in_flight}
        with self._client.pipeline(transaction=True) as pipe:
            for key in (self._keys.work(self.identity), self._keys.workers(self.identity)):
                pipe.unlink(key)
                if entries:
                    pipe.hset(key, mapping=entries)
                    pipe.expire(key, PROCESS_TTL)
            pipe.execute()

    def _act(self, name: str) -> None:
        number = {"TSTP": signal.SIGTSTP, "TERM": signal.SIGTERM, "TTIN": signal.SIGTTIN}.get(name)
        if number is not None and not self.options.embedded:
            os.kill(os.getpid(), number)


def _rss_kb() -> int:
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - one line, each beat
            return int(file.read().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)
    except (OSError, IndexError):
        return 0


def capsules(concurrency: int, queues: Sequence[tuple[str, int]]) -> tuple[Capsule, ...]:
    """The one capsule of a worker that was told queues and threads."""
    return (Capsule("default", concurrency, tuple(queues)),)
