"""What a worker knows of itself, for health checks, thread dumps and the beat; nothing here waits for anything."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import digests
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.dumping.dump import JobNow, PoolUse
from kiqdoctor.runtime.fetching.reliable import ReliableFetch
from kiqdoctor.runtime.fetching.work import Fetch
from kiqdoctor.runtime.heartbeat import Heartbeat, rss_kb
from kiqdoctor.runtime.manager import Manager
from kiqdoctor.runtime.periodic import fields as periodic_fields
from kiqdoctor.runtime.state import Figures, Pulse
from kiqdoctor.text import clean
from kiqdoctor.wire.connections import PUSHING
from kiqdoctor.wire.heartbeat import RECOVERED, SUPERVISOR

if TYPE_CHECKING:
    from redis import Redis


@dataclass
class Vitals:
    """Reads what the others keep."""

    redis: "Redis"
    board: Board
    fetch: Fetch
    manager: Manager
    heartbeat: Heartbeat
    quiet: Callable[[], bool]
    stopping: Callable[[], bool]
    started_at: float
    recovered: Callable[[], int]
    pools_declared: Sequence[tuple[str, int]] = ()
    fleet: Callable[[], str] = str
    about: digests.About = field(default_factory=digests.About)
    clock: Clock = SYSTEM

    def learn(self, config: Mapping[str, Any], namespace: str | None) -> None:
        """What stays as it is; once, after the application was imported."""
        self.about = digests.gather(
            environ=os.environ, folder=Path.cwd(), config=config, namespace=namespace, pools=dict(self.pools_declared)
        )

    def threads(self) -> dict[str, int]:
        """How many run a job, wait for one, or have ended."""
        busy, alive = self.board.busy, len(self.manager.alive)
        return {"running": busy, "waiting": max(0, alive - busy), "idle": len(self.board.seats) - alive}

    def fields(self) -> dict[str, Any]:
        """What the beat tells beyond Sidekiq's record."""
        threads = self.threads()
        told = self.about.with_threads(
            running=threads["running"], waiting=threads["waiting"], idle=threads["idle"]
        ).as_fields()
        fleet = {SUPERVISOR: words} if (words := self.fleet()) else {}
        return {**told, RECOVERED: self.recovered(), **periodic_fields(), **fleet}

    def prefetched(self) -> int:
        """Jobs that were taken and not started."""
        return len(self.fetch.local) if isinstance(self.fetch, ReliableFetch) else 0

    def state(self) -> Pulse:
        """For ``/livez`` and ``/readyz``."""
        now, fetch = self.clock.monotonic(), self.fetch
        threads = self.threads()
        tried, answered = (
            (fetch.tried_at, fetch.fetched_at) if isinstance(fetch, ReliableFetch) else (now, self.heartbeat.last)
        )
        return Pulse(
            dead_threads=(f"{threads['idle']} processors",) if threads["idle"] and not self.quiet() else (),
            fetch_age=now - tried if threads["waiting"] and not self.quiet() else None,
            redis_age=now - max(self.heartbeat.last, answered),
            lease_held=self.clock.boottime() < fetch.lease.good_until,
            quiet=self.quiet(),
            stopping=self.stopping(),
        )

    def figures(self) -> Figures:
        """For ``/metrics``."""
        processed, failed = self.board.totals()
        return Figures(
            processed=processed,
            failed=failed,
            threads=self.threads(),
            prefetched=self.prefetched(),
            rtt_s=self.heartbeat.rtt_us / 1_000_000,
            rss_bytes=rss_kb() * 1024,
            started_at=self.started_at,
            quiet=self.quiet(),
        )

    def jobs(self) -> dict[int, JobNow]:
        """Thread ident -> the job that it runs."""
        now = self.clock.boottime()
        found = [(seat.ident, seat.running) for seat in self.board.seats]
        return {
            ident: JobNow(one.shown, clean(one.jid), one.queue, now - one.began)
            for ident, one in found
            if one is not None
        }

    def pools(self) -> list[PoolUse]:
        """The worker's own connections, and those that jobs push with."""
        from kiqdoctor.runtime import sending

        shared: Any = self.redis.connection_pool
        counts = shared.get_connection_count()
        used = next((number for number, labels in counts if "used" in str(labels)), 0)
        found = [PoolUse("worker", used, shared.max_connections)]
        pushing = sending.in_use()
        return [*found, PoolUse("pushes", pushing, PUSHING)]
