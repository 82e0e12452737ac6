"""A worker's whole life: its lease, its threads, its heartbeat, its end."""

import os
import signal
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import forking, hearing, log, loops, overrunning
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.books import RedisBooks
from kiqdoctor.runtime.budget import Budget, budget, read
from kiqdoctor.runtime.config import connect
from kiqdoctor.runtime.dumping.dump import JobNow, PoolUse
from kiqdoctor.runtime.dumping.watchdog import STALL, Watchdog, answer
from kiqdoctor.runtime.fetching.basic import BasicFetch
from kiqdoctor.runtime.fetching.lease import Lease
from kiqdoctor.runtime.fetching.reliable import ReliableFetch
from kiqdoctor.runtime.fetching.work import Fetch, Work
from kiqdoctor.runtime.heartbeat import BEAT, Heartbeat, Member
from kiqdoctor.runtime.job import REGISTRY
from kiqdoctor.runtime.leaving import leave_by
from kiqdoctor.runtime.limits import Waiting
from kiqdoctor.runtime.manager import Manager
from kiqdoctor.runtime.options import WorkerOptions
from kiqdoctor.runtime.performing import Performer
from kiqdoctor.runtime.periodic import PERIODIC, Clockwork
from kiqdoctor.runtime.recover import Recovery
from kiqdoctor.runtime.scheduled import Poller
from kiqdoctor.runtime.servers import fit
from kiqdoctor.runtime.state import worker_metrics
from kiqdoctor.runtime.supervising.link import STACKS
from kiqdoctor.runtime.systemd import Notifier
from kiqdoctor.runtime.tenure import Tenure
from kiqdoctor.runtime.vitals import Vitals
from kiqdoctor.wire import connections

if TYPE_CHECKING:
    from kiqdoctor.runtime.health import Health

TICK: Final = 0.01  # seconds that an acknowledgement waits at most
LINES: Final = 0.05  # seconds that a job's log lines wait at most
LINGER: Final = 0.2  # seconds between two looks at what an embedded worker still runs


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
        self._hurried, self._gone = False, threading.Event()
        self.fleet = ""  # JSON: what our parent tells of itself and our siblings
        self.board = Board()
        self.tenure = Tenure(self._client, self._keys, options.capsule, clock)
        self.heartbeat = Heartbeat(self._client, self._keys, self.board, self._about, clock)
        self._books = RedisBooks(self._client, self._keys, self._ahead, self._clock)
        self.performer = Performer(
            self._books,
            self._settings,
            REGISTRY,
            lambda: self.identity,
            self._quiet.is_set,
            clock,
            watch=overrunning.refused,
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
            stacks=0 if options.embedded else STACKS,
        )
        self.on_signal: Callable[[str], None] = self._act

    def _about(self) -> dict[str, Any]:
        return self.vitals.fields()

    def _jobs(self) -> dict[int, JobNow]:
        return self.vitals.jobs()

    def _pools_now(self) -> list[PoolUse]:
        return self.vitals.pools()

    @property
    def lease(self) -> Lease:
        """The one that we hold now."""
        return self.tenure.lease

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

    def start(self) -> None:
        """Reach Redis, then start every thread.

        Raises:
            redis.exceptions.RedisError: it cannot be reached.
            ServerError: it is too old, or a cluster.
            UnsupervisedError: jobs of its queues have ``timeout_kill``, and there is no parent.
        """
        overrunning.fit(self.performer.watch, REGISTRY, self.options.capsule.names)
        if self.options.health:
            self._listen(self.options.health)
        fit(self._client, self._keys, self.options.capsule.names, self.identity)
        for hook in self._settings.on_startup:
            hook()
        if self.reliable:
            self.tenure.acquire()
        self.fetch = self._new_fetch()
        manager = Manager(
            self.options.capsule.concurrency,
            self.fetch,
            self.board,
            self.performer,
            stopping=self._quiet.is_set,
            fenced=lambda: self.tenure.regain(self._reliable),
            clock=self._clock,
        )
        self.vitals = self._new_vitals(manager)
        self._manager = manager  # last: other threads ask for the vitals once it is there
        if not self.options.embedded:
            self.watchdog.start()
        self.beat()
        for thread in self._background():
            thread.start()
        manager.start()
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
            lambda: self.fleet,
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
            live=self.not_live,
            ready=lambda: self.vitals.state().not_ready() if self._manager else "starting",
            metrics=lambda: worker_metrics(self.vitals.figures()) if self._manager else (),
            warn=log.warn,
        )
        self._health.listen(self._stopping, again=self.options.again)

    def _background(self) -> list[threading.Thread]:
        threads = [
            Poller(self._client, self._keys, self._quiet).thread,
            Waiting(self._client, self._keys, self._quiet).thread,
            self._thread(self._beating, "kiq.heartbeat"),
            self._thread(self._ticking, "kiq.ticker"),
            self._thread(self._logging, "kiq.log"),
        ]
        if self._systemd.interval is not None:
            threads.append(self._thread(self._reassuring, "kiq.systemd"))
        if PERIODIC:
            threads.append(Clockwork(self._client, self._keys, self._quiet, self._clock).thread)
        if self.reliable:
            self._recovery = Recovery(
                self._client, self._settings, lambda: self.lease, self._quiet, self.board, self._clock
            )
            threads += [self._recovery.thread, self._thread(partial(self.tenure.keep, self._reliable), "kiq.lease")]
        return threads

    @property
    def _reliable(self) -> ReliableFetch:
        assert isinstance(self.fetch, ReliableFetch)  # noqa: S101 - only it has a lease
        return self.fetch

    def _ahead(self) -> Iterable[Work]:
        return self.fetch.ahead()

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
        first = not self._quiet.is_set()
        self._quiet.set()
        self._systemd.status("quiet")
        fetch = getattr(self, "fetch", None)
        if isinstance(fetch, ReliableFetch):
            try:
                fetch.stop()
            except Exception as error:  # noqa: BLE001 - Redis may be away; the end tries again
                log.warn_seldom(f"quiet: {type(error).__name__}: {error}")
        if first:
            hearing.call("on_quiet", self._settings.on_quiet)

    def stop(self) -> None:
        """Let running jobs end until the deadline, give back the others, and leave.

        What an embedded worker still runs then keeps its lease until it ended: nobody else may run it meanwhile.

        Raises:
            kiqdoctor.runtime.forking.ForkedError: this is a child of the worker's process.
        """
        self._origin.check()
        deadline = self._clock.monotonic() + self.options.timeout_s
        self._stopping.set()
        if not self.options.embedded:
            watch = partial(leave_by, deadline, lambda: self._hurried, self._gone.wait, self._clock)
            self._thread(watch, "kiq.deadline").start()
        self._systemd.stopping()
        if self.reliable:
            self.tenure.stopping()
        self.quiet()
        if self._manager is not None:
            self._manager.finish(deadline, lambda: self._hurried, embedded=self.options.embedded)
        hearing.call("on_shutdown", self._settings.on_shutdown)
        if not self.options.embedded:
            loops.stop()
            self.watchdog.stop()
        if self._health is not None:
            self._health.stop()
        if self.options.embedded and self._manager is not None and self._manager.alive:
            try:
                self._thread(self._linger, "kiq.last").start()
            except RuntimeError:  # the program ends, and those jobs with it
                self._leave()
        else:
            self._leave()

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
        self._give_up_places()
        self._say_goodbye()
        self.tenure.end()
        log.flush()
        self._client.close()
        self._client.connection_pool.disconnect()
        self._gone.set()

    def _give_up_places(self) -> None:
        try:
            self._books.close()
        except Exception as error:  # noqa: BLE001 - they are nobody's once our lease is gone
            log.warn(f"while stopping: {type(error).__name__}: {error}")

    def _say_goodbye(self) -> None:
        try:
            self.heartbeat.leave(self.identity)
            if self.reliable:
                self.tenure.release()
        except Exception as error:  # noqa: BLE001 - we leave anyway
            log.warn(f"could not say goodbye to Redis: {type(error).__name__}: {error}")

    def look(self, dead: str) -> None:
        """Our parent saw this process end."""
        if self._recovery is not None:
            self._recovery.look(dead)

    def not_live(self) -> str | None:
        """Why only a restart helps, if so."""
        return self.vitals.state().not_live() if self._manager is not None else None

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
                self._books.tick()
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
        if self.reliable:
            self._hear_of_pauses()

    def _hear_of_pauses(self) -> None:
        from redis import ResponseError

        try:
            paused: Any = self._client.smembers(self._keys.paused)
        except ResponseError as error:
            log.warn_seldom(f"{self._keys.paused}: {error}: which queues are paused is what was known before")
            return
        self._reliable.pause(frozenset(name.decode("utf-8", "replace") for name in paused))

    def _act(self, name: str) -> None:
        number = {"TSTP": signal.SIGTSTP, "TERM": signal.SIGTERM, "TTIN": signal.SIGTTIN}.get(name)
        if number is not None and not self.options.embedded:
            os.kill(os.getpid(), number)
