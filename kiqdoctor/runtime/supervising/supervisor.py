"""Starts worker processes, sees them end, starts others; forwards what it is asked, and judges who is stuck."""

import os
import resource
import selectors
import signal
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from kiqdoctor.clock import boottime
from kiqdoctor.runtime import log
from kiqdoctor.runtime.supervising import link
from kiqdoctor.runtime.supervising.child import Child, End, fleet_words, spawn
from kiqdoctor.runtime.supervising.link import STACKS, Birth, Message
from kiqdoctor.runtime.supervising.orders import Orders
from kiqdoctor.runtime.supervising.overrun import DUMP, GRACE, Overrun, Watched
from kiqdoctor.runtime.supervising.renewal import Renewal
from kiqdoctor.runtime.supervising.template import Template
from kiqdoctor.runtime.systemd import Notifier
from kiqdoctor.text import clean
from kiqdoctor.version import __version__

LOOK: Final = 0.25  # seconds between two looks at what tells nobody of itself
SILENT: Final = 10.0  # seconds without a pulse after which a child is called stuck
AWAKENING: Final = 2.0  # seconds in which a pulse comes of whoever goes on after it was stopped
SETTLED: Final = 10.0  # seconds; who ended before that had no good start
BACK_OFF: Final = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before a start, by how many went wrong one after another
MARGIN: Final = 4.5  # seconds beyond a child's own deadline until it is killed
CRASHES: Final = 10  # that are told in the beat
STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT})
TAKEN: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGTSTP, signal.SIGTTIN, signal.SIGUSR2, signal.SIGCHLD)


@dataclass
class Place:
    """Where one child is, and the one that is to follow it."""

    number: int
    child: Child | None = None
    successor: Child | None = None
    failures: int = 0
    start_at: float | None = 0.0  # monotonic; None: nobody is to be started here


@dataclass
class Supervisor:
    """One process's loop. Everything but the renewal of leases happens here, and nothing here waits for Redis."""

    orders: Orders
    places: list[Place] = field(default_factory=list)
    leaving: list[Child] = field(default_factory=list)  # retired, and not gone yet
    rolling: deque[Place] = field(default_factory=deque)
    restarts: int = 0
    crashes: deque[dict[str, Any]] = field(default_factory=lambda: deque(maxlen=CRASHES))
    stopping: bool = False
    quiet: bool = False
    ever_ready: bool = False
    status: int = 0

    def __post_init__(self) -> None:
        self.places = [Place(number) for number in range(self.orders.processes)]
        self._selector = selectors.DefaultSelector()
        self._renewal = Renewal(self._renewed)
        self._template: Template | None = None
        self._systemd = Notifier(os.environ, os.getpid())
        self._fed = 0.0
        self._looked = time.monotonic()

    # -- the loop ------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Until no child is left, or none is wanted; the exit status."""
        read, write = os.pipe()
        for end in (read, write):
            os.set_blocking(end, False)
        for number in TAKEN:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        self._selector.register(read, selectors.EVENT_READ, lambda: self._signals(os.read(read, 4096)))
        self._renewal.thread.start()
        log.use(self.orders.log_format)
        if self.orders.preload:
            self._template = Template(self.orders.words, self.orders.redis, self._selector)
        self._tend()
        while self._children() or any(place.start_at is not None for place in self.places):
            for key, _ in self._selector.select(LOOK):
                key.data()
            self._reap()
            self._tend()
        self._renewal.stop()
        if self._template is not None:
            self._template.close()
        if self.ever_ready:
            log.info("Bye!")
        return self.status

    @property
    def _importing(self) -> bool:
        """Whether nobody can be forked yet."""
        return self._template is not None and not self._template.ready

    def _children(self) -> list[Child]:
        there = [one for place in self.places for one in (place.child, place.successor) if one is not None]
        return there + self.leaving

    def _tend(self) -> None:
        now = time.monotonic()
        self._excuse(now)
        if self._template is not None and not self.stopping:
            self._template.start()
        for place in self.places if self.ever_ready else self.places[:1]:  # what is wrong with all is said once
            due = place.start_at is not None and now >= place.start_at and place.child is None
            if due and not self.stopping and not self._importing:
                place.start_at = None
                place.child = self._start(place, again=place.failures > 0 or self.restarts > 0)
        for child in self._children():
            self._judge(child, now)
        self._roll()
        self._tell_fleet()
        self._feed(now)

    def _excuse(self, now: float) -> None:
        """Where we stood still ourselves, or the whole machine did, what children said was not heard: no silence."""
        gap, self._looked = now - self._looked, now
        if gap > LOOK + AWAKENING:
            for child in self._children():
                child.heard = min(now, child.heard + gap)

    # -- signals -------------------------------------------------------------------------------------------------

    def _signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number in STOPS:
                self._stop()
            elif number == signal.SIGTSTP:
                self.quiet = True
                self._say(do=link.QUIET)
                self._systemd.status("quiet")
            elif number == signal.SIGTTIN:
                for child in self._children():
                    child.dump()
            elif number == signal.SIGUSR2 and not self.stopping and not self.rolling:
                log.info("rolling: new processes first, then the old ones stop")
                if self._template is not None:
                    self._template.renew()
                self.rolling.extend(place for place in self.places if place.child is not None)

    def _stop(self) -> None:
        now = time.monotonic()
        if self.stopping:
            self._say(do=link.HURRY)
            for child in self._children():
                child.kill_at = min(child.kill_at or now + MARGIN, now + MARGIN)
            return
        self.stopping = True
        if self.ever_ready:
            log.info("shutting down")
        self._systemd.stopping()
        self.rolling.clear()
        if self._template is not None:
            self._template.close()
        for place in self.places:
            place.start_at = None
        for child in self._children():
            child.ask_to_stop(now + self.orders.timeout_s + MARGIN)

    def _say(self, **message: Any) -> None:
        for child in self._children():
            child.link.say(**message)

    # -- one child -----------------------------------------------------------------------------------------------

    def _start(self, place: Place, *, again: bool) -> Child:
        birth = Birth(0, place.number, self.orders.processes, again, self.quiet, self.orders.redis)
        forked = self._template.fork(birth) if self._template is not None else None
        child = forked or spawn(self.orders.words, birth)
        self._selector.register(child.link, selectors.EVENT_READ, lambda: self._hear(child))
        return child

    def _hear(self, child: Child) -> None:
        said = child.link.hear()
        if said is None:
            self._hang_up(child)
            return
        child.heard = time.monotonic()
        if child.silent:
            child.silent = False
            log.warn(f"process {child.pid} is awake again")
        for message in said:
            self._heard(child, message)

    def _heard(self, child: Child, message: Message) -> None:
        if (held := message.get(link.HOLD)) is not None:
            child.identity, child.redis, child.overran = str(held["identity"]), str(held["redis"]), str(held["overran"])
            self._renewal.hold(child.pid, str(held["lease"]), child.redis)
        if (began := message.get(link.BEGAN)) is not None:
            child.watched[began["number"]] = Watched(**began)
        if (over := message.get(link.OVER)) is not None:
            child.watched.pop(over, None)
        if (pulse := message.get(link.PULSE)) is not None:
            child.processed, child.reason = int(pulse["processed"]), pulse["reason"]
        if (name := message.get(link.CHANGED)) is not None:
            self._reload(child, str(name))
        if message.get(link.READY):
            self._is_ready(child)

    def _is_ready(self, child: Child) -> None:
        """It runs jobs, and listens: what was asked of it before is asked again."""
        if not self.ever_ready:
            plural = "" if self.orders.processes == 1 else "es"
            log.info(f"kiqdoctor {__version__} supervises {self.orders.processes} worker process{plural}")
        child.ready = self.ever_ready = True
        if child.wanted:
            child.dump()
        self._take_over(child)
        if all(place.child is not None and place.child.ready for place in self.places):
            self._systemd.ready(f"{self.orders.processes} worker processes")
        if self.stopping:
            child.link.say(do=link.STOP)

    def _take_over(self, child: Child) -> None:
        """Whoever was to follow runs now: the other may go."""
        place = self.places[child.place]
        if place.successor is not child:
            return
        old, place.child, place.successor = place.child, child, None
        if old is not None:
            self.leaving.append(old)
            old.ask_to_stop(time.monotonic() + self.orders.timeout_s + MARGIN, retired=True)

    def _renewed(self, leases: Any, sent: float) -> None:
        """In the renewal's thread; a lease's key ends with its identity."""
        for child in self._children():
            if child.identity and any(str(lease).endswith(child.identity) for lease in leases):
                child.link.say(renewed=sent)

    def _judge(self, child: Child, now: float) -> None:
        """Whether it has outlived its time, its memory or its jobs, or stands still."""
        if child.kill_at is not None and now >= child.kill_at:
            log.warn(f"process {child.pid} did not stop in time: it is killed; what it holds is run by others")
            child.kill_at = None
            child.send(signal.SIGKILL)
        if child.watched or child.overrun is not None:
            self._overrun(child, now)
        if child.ready and now - child.heard > SILENT - AWAKENING:
            self._silent(child, now)
        if child.ready and not child.asked and self.places[child.place].successor is None:
            orders, rss = self.orders, child.rss_mib if self.orders.max_rss_mib else 0.0
            if orders.max_jobs and child.processed >= orders.max_jobs:
                self._replace(child, f"it ran {child.processed} jobs")
            elif orders.max_rss_mib and rss > orders.max_rss_mib:
                self._replace(child, f"it holds {rss:.0f} MiB")

    def _silent(self, child: Child, now: float) -> None:
        """Its stacks are asked for, but not when it goes on after a stop: C would walk frames of threads that run."""
        seconds, stopped = now - child.heard, child.stands_still
        if stopped:
            child.stood_at = now
        if seconds <= SILENT:
            return
        if not child.silent and (stopped or now - child.stood_at > AWAKENING):
            child.silent = True
            why = "it was stopped" if stopped else "a job keeps its GIL, or it waits in the kernel"
            log.warn(f"process {child.pid} has been silent for {seconds:.0f} s: {why}; its jobs stay its own")
            if not stopped and child.catches(STACKS):
                child.send(STACKS)
        self._stuck(child, seconds)

    def _stuck(self, child: Child, seconds: float) -> None:
        """It lives, and nobody takes its jobs; what is done about it was said at the start."""
        limit = self.orders.stuck_after_s
        if limit and seconds > limit:
            log.warn(f"process {child.pid} is killed after {seconds:.0f} s of silence: --stuck-after {limit:g}")
            child.heard = time.monotonic()  # once is enough
            child.send(signal.SIGKILL)

    def _overrun(self, child: Child, now: float) -> None:
        """Kill a process for jobs that ran too long, unless they end while it writes its stacks."""
        found = child.overrun
        if found is None:
            late = boottime() - GRACE
            jobs = [one for one in child.watched.values() if one.until < late]
            if jobs:
                told = ", ".join(f"{one.what} ran longer than {one.seconds:g} s" for one in jobs)
                log.warn(f"{told}: process {child.pid} writes its stacks, and is killed")
                child.overrun = Overrun(jobs, child.redis, child.overran)
                child.send(signal.SIGTTIN)
        elif now < found.began + DUMP:
            return
        elif not found.told:
            found.jobs = [one for one in found.jobs if one.number in child.watched]
            if found.jobs:
                found.tell()
            else:
                found.over, child.overrun = True, None
        elif child.heard < found.began and found.aborted_at is None:
            # No pulse for so long: its GIL is held, and only C can write the stacks of all threads, as it dies.
            found.aborted_at = now
            with suppress(OSError, ValueError):
                resource.prlimit(child.pid, resource.RLIMIT_CORE, (0, 0))
            child.send(signal.SIGABRT)
        elif found.aborted_at is None or now > found.aborted_at + DUMP:
            child.send(signal.SIGKILL)

    def _replace(self, child: Child, why: str) -> None:
        place = self.places[child.place]
        if self.stopping or place.child is not child:
            return
        log.info(f"process {child.pid} is replaced: {why}")
        place.successor = self._start(place, again=True)

    def _reload(self, child: Child, name: str) -> None:
        """What runs the old text takes no more jobs; where the new one does not start they wait for the next change."""
        place = self.places[child.place]
        if self.stopping or place.child is not child:
            return
        child.link.say(do=link.QUIET)
        if place.successor is None:  # else that one sees for itself what changed while it started
            self._replace(child, f"{clean(name)} has changed")

    def _roll(self) -> None:
        """One place after the other."""
        if not self.rolling or self._importing or any(place.successor is not None for place in self.places):
            return
        place = self.rolling.popleft()
        if place.child is not None:
            self._replace(place.child, "rolling")

    # -- the end of one ------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        """Also those that are nobody's: as a container's first process we inherit them."""
        with suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                pid, status = found
                child = next((one for one in self._children() if one.pid == pid), None)
                if child is not None:
                    self._ended(child, End(status))
                elif self._template is not None and self._template.pid == pid:
                    failed = self._template.ended(End(status))
                    if failed and not self.ever_ready:  # what is wrong with the application is said once
                        self.status = failed
                        self._stop()

    def _hang_up(self, child: Child) -> None:
        with suppress(KeyError, ValueError):
            self._selector.unregister(child.link)

    def _ended(self, child: Child, end: End) -> None:
        self._hang_up(child)
        child.link.close()
        self._renewal.drop(child.pid)
        if child.overrun is not None:
            child.overrun.over = True
        place = self.places[child.place]
        if child in self.leaving:
            self.leaving.remove(child)
        elif place.successor is child:
            place.successor = None
            self.rolling.clear()
            log.warn(f"process {child.pid}, which was to follow another, ended before that: {end.words}")
        else:
            place.child = None
            self._vacant(place, child, end)
        if child.identity and (end.code or child.asked):
            self._say(look=child.identity)

    def _vacant(self, place: Place, child: Child, end: End) -> None:
        """Whether another is started there, and when."""
        if self.stopping:
            return
        if not child.ready and not self.ever_ready and end.code >= 0:
            self.status = end.code
            self._stop()
            return
        if end.code == 0 and child.ready:
            log.info(f"process {child.pid} was told to stop, and is not replaced")
            return
        early = time.monotonic() - child.started_at < SETTLED and child.overrun is None
        place.failures = place.failures + 1 if early else 0
        wait = BACK_OFF[min(max(place.failures - 1, 0), len(BACK_OFF) - 1)]
        self.restarts += 1
        self.crashes.append({"at": round(end.at, 3), "pid": child.pid, "how": end.words, "identity": child.identity})
        log.warn(f"process {child.pid} ended: {end.words}; another starts" + (f" in {wait:g} s" if wait else ""))
        place.start_at = time.monotonic() + wait

    # -- what is told --------------------------------------------------------------------------------------------

    def _tell_fleet(self) -> None:
        """To each child that has not heard it: it stands in its beat."""
        told = fleet_words(
            pid=os.getpid(),
            processes=self.orders.processes,
            pids=[child.pid for child in self._children()],
            restarts=self.restarts,
            stuck=[child.pid for child in self._children() if child.silent],
            crashes=list(self.crashes),
        )
        for child in self._children():
            if child.ready and child.fleet != told and child.link.say(fleet=told):
                child.fleet = told

    def _feed(self, now: float) -> None:
        """Systemd's watchdog, unless some child should not live."""
        if self._systemd.interval is None or now - self._fed < self._systemd.interval:
            return
        self._fed = now
        reasons = [f"process {one.pid}: {one.reason}" for one in self._children() if one.reason]
        reasons += [f"process {one.pid} is stuck" for one in self._children() if one.silent]
        self._systemd.alive(reasons[0] if reasons else None)
