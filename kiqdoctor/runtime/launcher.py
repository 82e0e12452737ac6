"""A worker's whole life: its lease, its threads, its heartbeat, its end."""

import os
import secrets
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import forking, log, loops
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.books import RedisBooks
from kiqdoctor.runtime.budget import Budget, budget, read
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.config import Settings, connect
from kiqdoctor.runtime.dumping.dump import JobNow, PoolUse
from kiqdoctor.runtime.dumping.watchdog import STALL, Watchdog, answer
from kiqdoctor.runtime.fetching.basic import BasicFetch
from kiqdoctor.runtime.fetching.lease import RENEW, Lease
from kiqdoctor.runtime.fetching.reliable import ReliableFetch
from kiqdoctor.runtime.fetching.work import Fetch
from kiqdoctor.runtime.heartbeat import BEAT, Heartbeat, Member
from kiqdoctor.runtime.job import REGISTRY
from kiqdoctor.runtime.manager import Manager
from kiqdoctor.runtime.performing import Performer
from kiqdoctor.runtime.periodic import PERIODIC, Clockwork
from kiqdoctor.runtime.recover import Recovery
from kiqdoctor.runtime.scheduled import Poller
from kiqdoctor.runtime.state import worker_metrics
from kiqdoctor.runtime.systemd import Notifier
from kiqdoctor.runtime.vitals import Vitals
from kiqdoctor.wire import connections

if TYPE_CHECKING:
    from kiqdoctor.runtime.health import Health

TICK: Final = 0.01  # seconds that an acknowledgement waits at most
LINES: Final = 0.05  # seconds that a job's log lines wait at most
LINGER: Final = 0.2  # seconds between two looks at what an embedded worker still runs
OLDEST: Final = (6, 2)


class ServerError(Exception):
    """This Redis cannot hold the queues of a worker; in one line."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker is told."""

    settings: Settings
    capsule: Capsule
    timeout_s: float = 25.0
    fetch: str = "reliable"
    tag: str = ""
    environment: str = ""
    embedded: bool = False
    health: str = ""


class Launcher:
    """Start, quiet, stop."""

    def __init__(self, options: WorkerOptions, clock: Clock = SYSTEM) -> None:
        self.options, self._clock = options, clock
        self._origin = forking.origin("this worker")
        self._settings, self._keys = options.settings, options.settings.keys
        self.reliable = options.fetch == "reliable"
        self._client = connect(self._settings, connections.shared(options.capsule.concurrency, reliable=self.reliable))
        self._started_at = clock.now()
        self._quiet, self._stopping, self._done = threading.Event(), threading.Event(), threading.Event()
        self._hurried = False
        self._farewell: threading.Thread | None = None
        self.board = Board()
        self._renewal = threading.Lock()
        self.lease = self._new_lease()
        self.heartbeat = Heartbeat(self._client, self._keys, self.board, self._about, clock)
        self.performer = Performer(
            RedisBooks(self._client, self._keys),
            self._settings,
            REGISTRY,
            lambda: self.identity,
            self._quiet.is_set,
            clock,
        )
        self.fetch: Fetch
        self.vitals: Vitals
        self._manager: Manager | None = None
        self._recovery: Recovery | None = None
        self._health: Health | None = None
        self._systemd = Notifier({} if options.embedded else os.environ, os.getpid())
        self.watchdog = Watchdog(
            jobs=self._jobs,
            pools=self._pools_now,
            write=log.warn,
            identity=lambda: self.identity,
            signals=not options.embedded,
            stall_s=0 if options.embedded else STALL,
        )
        self.on_signal: Callable[[str], None] = self._act

    def _about(self) -> dict[str, Any]:
        return self.vitals.fields()

    def _jobs(self) -> dict[int, JobNow]:
        return self.vitals.jobs()

    def _pools_now(self) -> list[PoolUse]:
        return self.vitals.pools()

    @property
    def identity(self) -> str:
        """``host:pid:nonce``; a new nonce where the lease was lost for good."""
        return self.lease.identity

    @property
    def pools(self) -> tuple[tuple[str, int], ...]:
        """What opens connections, and how many at most."""
        capsule = self.options.capsule
        return connections.pools(capsule.concurrency, len(capsule.names), reliable=self.reliable)

    def budget(self) -> Budget:
        """These against what the server allows."""
        return budget(self.pools, read(self._client))

    def _new_lease(self) -> Lease:
        host = os.environ.get("DYNO") or socket.gethostname()
        identity = f"{host}:{os.getpid()}:{secrets.token_hex(6)}"
        return Lease(self._client, self._keys, identity, self.options.capsule.names, self._clock)

    def start(self) -> None:
        """Reach Redis, then start every thread.

        Raises:
            redis.exceptions.RedisError: it cannot be reached.
            ServerError: it is too old, or a cluster.
        """
        if self.options.health:
            self._listen(self.options.health)
        _fit(self._client)
        if self.reliable:
            self.lease.acquire()
        self.fetch = self._new_fetch()
        self._manager = Manager(
            self.options.capsule.concurrency,
            self.fetch,
            self.board,
            self.performer,
            stopping=self._quiet.is_set,
            fenced=self._fenced,
            clock=self._clock,
        )
        self.vitals = self._new_vitals(self._manager)
        if not self.options.embedded:
            self.watchdog.start()
        self.beat()
        for thread in self._background():
            thread.start()
        self._manager.start()
        self._systemd.ready(f"{self.options.capsule.concurrency} threads")

    def _new_vitals(self, manager: Manager) -> Vitals:
        options, capsule = self.options, self.options.capsule
        found = Vitals(
            self._client,
            self.board,
            self.fetch,
            manager,
            self.heartbeat,
            self._quiet.is_set,
            self._stopping.is_set,
            self._started_at,
            lambda: self._recovery.recovered if self._recovery is not None else 0,
            self.pools,
            clock=self._clock,
        )
        config = {
            "queues": [list(one) for one in capsule.queues],
            "concurrency": capsule.concurrency,
            "timeout": options.timeout_s,
            "fetch": options.fetch,
            "namespace": self._settings.namespace,
        }
        found.learn(config, self._settings.namespace)
        return found

    def _listen(self, at: str) -> None:
        from kiqdoctor.runtime.health import Health

        self._health = Health(
            at,
            live=lambda: self.vitals.state().not_live() if self._manager else None,
            ready=lambda: self.vitals.state().not_ready() if self._manager else "starting",
            metrics=lambda: worker_metrics(self.vitals.figures()) if self._manager else (),
            warn=log.warn,
        )
        self._health.start()

    def _background(self) -> list[threading.Thread]:
        threads = [
            Poller(self._client, self._keys, self._quiet).thread,
            self._thread(self._beating, "kiq.heartbeat"),
            self._thread(self._ticking, "kiq.ticker"),
            self._thread(self._logging, "kiq.log"),
        ]
        if self._systemd.interval is not None:
            threads.append(self._thread(self._reassuring, "kiq.systemd"))
        if PERIODIC:
            threads.append(Clockwork(self._client, self._keys, self._quiet, self._clock).thread)
        if self.reliable:
            self._recovery = Recovery(self._client, self._settings, lambda: self.lease, self._quiet, self._clock)
            threads += [self._recovery.thread, self._thread(self._renewing, "kiq.lease")]
        return threads

    def _new_fetch(self) -> Fetch:
        if self.reliable:
            return ReliableFetch(self._client, self._keys, self.options.capsule, self.lease, self._clock)
        return BasicFetch(self._client, self._keys, self.options.capsule, self._quiet.is_set)

    @staticmethod
    def _thread(target: Callable[[], None], name: str) -> threading.Thread:
        return threading.Thread(target=target, daemon=True, name=name)

    # -- the end -------------------------------------------------------------------------------------------------

    def quiet(self) -> None:
        """Take no more jobs.

        Raises:
            kiqdoctor.runtime.forking.ForkedError: this is a child of the worker's process.
        """
        self._origin.check()
        self._quiet.set()
        self._systemd.status("quiet")
        fetch = getattr(self, "fetch", None)
        if isinstance(fetch, ReliableFetch):
            try:
                fetch.stop()
            except Exception as error:  # noqa: BLE001 - Redis may be away; the end tries again
                log.warn_seldom(f"quiet: {type(error).__name__}: {error}")

    def stop(self) -> None:
        """Let running jobs end until the deadline, give back the others, and leave.

        What an embedded worker still runs then keeps its lease until it ended: nobody else may run it meanwhile.

        Raises:
            kiqdoctor.runtime.forking.ForkedError: this is a child of the worker's process.
        """
        self._origin.check()
        deadline = self._clock.monotonic() + self.options.timeout_s
        self._stopping.set()
        self._systemd.stopping()
        if self.reliable:
            self._farewell = self._thread(self._tell_stopping, "kiq.stopping")  # beside: Redis may be away
            self._farewell.start()
        self.quiet()
        if self._manager is not None:
            self._manager.finish(deadline, lambda: self._hurried, embedded=self.options.embedded)
        if not self.options.embedded:
            loops.stop()
            self.watchdog.stop()
        if self._health is not None:
            self._health.stop()
        if self.options.embedded and self._manager is not None and self._manager.alive:
            self._thread(self._linger, "kiq.last").start()
        else:
            self._leave()

    def _tell_stopping(self) -> None:
        try:
            self.lease.stopping()
        except Exception as error:  # noqa: BLE001 - a death that was asked for is counted then
            log.warn_seldom(f"lease: {type(error).__name__}: {error}")

    def hurry(self) -> None:
        """Wait for running jobs no longer. Takes no lock: a signal's handler may call it."""
        self._hurried = True

    def _linger(self) -> None:
        while self._manager is not None and self._manager.alive:
            self._clock.sleep(LINGER)
        try:
            self.fetch.close()
        except Exception as error:  # noqa: BLE001 - it is found in the private list
            log.warn(f"while stopping: {type(error).__name__}: {error}")
        self._leave()

    def _leave(self) -> None:
        self._done.set()
        self._say_goodbye()
        if self._farewell is not None:
            self._farewell.join(1.0)  # no connection is closed under it
        log.flush()
        self._client.close()
        self._client.connection_pool.disconnect()

    def _say_goodbye(self) -> None:
        try:
            self.heartbeat.leave(self.identity)
            if self.reliable and not self.lease.release():
                log.warn("some jobs are still in our private lists: another process takes them back")
        except Exception as error:  # noqa: BLE001 - we leave anyway
            log.warn(f"could not say goodbye to Redis: {type(error).__name__}: {error}")

    # -- the lease -----------------------------------------------------------------------------------------------

    def _fenced(self) -> None:
        """Our lease is gone or about to go: one thread sees to it, the others wait for that.

        Where nobody closed our account it is still ours, with all that lies in our lists: an outage of Redis costs no
        job a second run. Else we go on under a new identity, and what still runs ends under the old one.
        """
        before = self.lease
        with self._renewal:
            if self.lease is not before or self._clock.boottime() < self.lease.good_until:
                return
            try:
                if self.lease.renew():
                    return
                assert isinstance(self.fetch, ReliableFetch)  # noqa: S101 - only it has a lease
                self.fetch.fenced()
                if not self.lease.reclaim():
                    self._new_identity(self.fetch)
            except Exception as error:  # noqa: BLE001 - the next try finds us here again
                log.warn_seldom(f"lease: {type(error).__name__}: {error}")
                self._done.wait(1.0)

    def _new_identity(self, fetch: ReliableFetch) -> None:
        old, new = self.identity, self._new_lease()
        new.acquire()
        fetch.adopt(new)
        self.lease = new
        log.warn(f"our lease ran out and others took our jobs: {old} goes on as {new.identity}")
        self._client.srem(self._keys.processes, old)

    def _renewing(self) -> None:
        while not self._done.wait(RENEW):
            try:
                if not self.lease.renew():
                    self._fenced()
            except Exception as error:  # noqa: BLE001 - Redis may be away
                self.lease.interrupted()
                log.warn_seldom(f"lease: {type(error).__name__}: {error}")

    # -- what goes on beside -------------------------------------------------------------------------------------

    def _logging(self) -> None:
        """In a thread of its own: whoever reads our log may be slow."""
        while not self._done.wait(LINES):
            self.board.announce()
            log.flush()

    def _ticking(self) -> None:
        """Acknowledgements that no fetch carries are told soon."""
        while not self._done.wait(TICK):
            try:
                self.fetch.tick()
            except Exception:  # noqa: BLE001 - the processors log it, and try again
                self._done.wait(0.5)

    def _reassuring(self) -> None:
        while not self._done.wait(self._systemd.interval):
            self._systemd.alive(self.vitals.state().not_live())

    def _beating(self) -> None:
        while not self._done.wait(BEAT):
            try:
                self.beat()
            except Exception as error:  # noqa: BLE001 - a beat that fails is followed by another
                log.warn_seldom(f"heartbeat: {type(error).__name__}: {error}")

    def beat(self) -> None:
        """Tell who we are and what we do; obey the web UI.

        Raises:
            kiqdoctor.runtime.forking.ForkedError: this is a child of the worker's process.
        """
        self._origin.check()
        who = Member(
            self.identity,
            self.options.capsule,
            self._started_at,
            self.options.tag,
            reliable=self.reliable,
            embedded=self.options.embedded,
            connections=sum(size for _, size in self.pools),
        )
        wanted = self.heartbeat.beat(who, quiet=self._quiet.is_set(), prefetched=self.vitals.prefetched())
        if wanted is not None:
            self.on_signal(wanted)
        answer(self._client, self._keys, self.identity, lambda: self.watchdog.dump("asked through Redis"))
        if isinstance(self.fetch, ReliableFetch):
            paused: Any = self._client.smembers(self._keys.paused)
            self.fetch.pause(frozenset(name.decode("utf-8", "replace") for name in paused))

    def _act(self, name: str) -> None:
        number = {"TSTP": signal.SIGTSTP, "TERM": signal.SIGTERM, "TTIN": signal.SIGTTIN}.get(name)
        if number is not None and not self.options.embedded:
            os.kill(os.getpid(), number)


def _fit(client: Any) -> None:
    """Refuse what would lose jobs, in one line, before anything is taken."""
    client.ping()
    found = client.info("server")
    version = tuple(int(part) for part in str(found.get("redis_version", "0")).split(".")[:2] if part.isdigit())
    if version < OLDEST:
        raise ServerError(f"Redis {found.get('redis_version')} is too old: a worker needs 6.2 or later, or Valkey")
    if found.get("redis_mode") == "cluster":
        raise ServerError("this is a Redis Cluster; the queues need one primary, as Sidekiq's do: use Sentinel instead")
