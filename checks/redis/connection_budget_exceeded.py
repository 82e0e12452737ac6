"""The fleet can open more connections than Redis accepts.

## Why it hurts
Pools fill under load and at deploys, not on a quiet day: the limit is met at the worst moment, and then web and
workers fail together (RED002).

In the log: nothing before the limit is met, and then RED002's `ERR max number of clients reached` on both sides.

## How it is found
Formula: W = surge * sum over worker processes of (threads + k) + web and others; W > L is high, W > SAFE * L is medium

W is the peak, L the limit. `k` is what Sidekiq opens beside its threads: 5 up to 7.1.0, 10 from 7.1.1 on. With
`size: S` in the configuration there are S connections in all up to 6.5, and k is S from 7.0.3 on: the process's own
pool takes it, and each capsule keeps one of its threads' number beside it.
Processes are those that are alive now and those that the deployment's files ask for, whichever needs more. Web and
others are what the files say, or else what is connected now beside the workers. A deploy that surges doubles the
workers (surge = 2). Where no server says L, the Redis plan that app.json orders does, unless a file for production
starts the workers elsewhere, or a Procfile has others than those that are counted.

## When it is wrong
Pools are lazy: W is the peak, not what is seen on a quiet day. Connections that jobs open by themselves are not in
it.

## Confirm by hand
`redis-cli info clients`, and the arithmetic that the evidence shows.

## How to fix
Set the concurrency that the remedy prints, or raise the limit to the number there; both leave this check green.

Risk: a lower concurrency makes queues longer, and a higher limit takes memory and file descriptors of the server. Where
a pool is made smaller than its threads need, jobs wait in `ConnectionPool::TimeoutError`.

Undo: the old numbers, which the evidence shows; workers take them at their next start.

## Unknown when
The limit is hidden (--redis-limit N), or the number of processes or of web connections cannot be told: files do not
say it, and no worker is alive.

## Source
lib/sidekiq/config.rb, capsule.rb and redis_connection.rb, tag by tag; Redis' clients documentation; Heroku's table of
connections of 2024-10-11.

Our own runtime says how many it may open, at boot and in its `info`; what files ask for is reckoned by its own formula.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor

from packaging.version import Version

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Refused, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.deployment import Deployment, WorkerConfig
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.redis import ClientLimit, Server
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.versions import version_of
from kiqdoctor.wire.connections import by_thread, of_sidekiq, pools
from kiqdoctor.wire.heartbeat import RELIABLE

SAFE = Threshold(
    name="safe",
    default=0.9,
    unit="of the limit",
    meaning="A fleet that can open more than this share of the limit is near it.",
    source="ours: a console and the doctor want in too",
    least=0.1,
    most=1.0,
)


@dataclass(frozen=True, slots=True)
class Worker:
    """One process: its threads, and what it opens beside them."""

    threads: int
    beside: int
    source: str
    fixed: int | None = None  # a configured pool size decides alone

    @property
    def peak(self) -> int:
        """Connections at most."""
        return self.fixed if self.fixed is not None else self.threads + self.beside


@check("RED003", severity=Severity.HIGH, caused_by=("PRO003",), thresholds=(SAFE,))
def connection_budget_exceeded(
    limit: ClientLimit | Missing,
    fleet: Fleet | Missing,
    server: Server | Missing,
    deployment: Deployment | Missing,
    packages: Packages | Missing,
    settings: RedisSettings | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    limit = _ordered(limit, deployment)
    version = packages.version_of("ruby", "sidekiq") if isinstance(packages, Packages) else ""
    size = _size(settings)
    running = [_running(one, size) for one in _live(fleet)]
    planned, gaps = _planned(deployment, version, size, alive=bool(running))
    if silent := [one.identity for one in _live(fleet) if one.concurrency is None]:
        gaps = "; ".join(filter(None, (gaps, f"{silent[0]} does not say its concurrency")))
    workers = max((running, planned), key=lambda some: sum(one.peak for one in some))
    if not workers:
        yield _nothing(fleet, deployment, gaps)
        return
    surge = 2 if isinstance(deployment, Deployment) and deployment.surge else 1
    total = surge * sum(one.peak for one in workers)
    others = _others(deployment, server, running)
    evidence = (*_shown(workers, surge, total), *_shown_others(others))
    if not isinstance(limit, ClientLimit):
        reason = f"the workers can open {counted(total, 'connection')}, but the limit is not known"
        yield Unknown(reason, getattr(limit, "unlock", "") or "--redis-limit N")
        return
    need = total + (others[0] if others else 0)
    evidence += (Evidence("limit", str(limit.limit), limit.source),)
    safe = thresholds[SAFE]
    if need > safe * limit.limit:
        yield _finding(workers, surge, need - total, need, limit, safe, evidence)
    elif gaps:
        yield Unknown(f"at least {need} of {limit.limit}; {gaps}", "say it in the files, or examine the live fleet")
    elif others is None:
        yield Unknown(f"the workers can open {total} of {limit.limit}; what web processes open is not known", "+info")
    else:
        yield from evidence


def _ordered(limit: ClientLimit | Missing, deployment: Deployment | Missing) -> ClientLimit | Missing:
    """Where no server says what it accepts, the plan does that the files order."""
    if isinstance(limit, ClientLimit) or not isinstance(deployment, Deployment) or deployment.redis_clients is None:
        return limit
    return ClientLimit(deployment.redis_clients, deployment.redis_plan)


def _live(fleet: Fleet | Missing) -> tuple[Process, ...]:
    return fleet.live if isinstance(fleet, Fleet) else ()


def _size(settings: RedisSettings | Missing) -> int | None:
    sizes = (
        [one.pool_size for one in settings.all if one.role == "server"] if isinstance(settings, RedisSettings) else []
    )
    return next((size for size in sizes if size is not None), None)


def _running(process: Process, size: int | None) -> Worker:
    threads = process.concurrency or 0
    if process.runtime:
        reliable = RELIABLE in process.labels
        return _ours(threads, process.queues or (), "our runtime", reliable=reliable, told=process.connections)
    return _worker(threads, process.version or "6", size)


def _ours(
    threads: int, queues: Sequence[str], source: str, *, reliable: bool = True, told: int | None = None
) -> Worker:
    """Our runtime fetches over few connections, whatever its threads; one that runs says what it may open."""
    most = told if told is not None else sum(size for _, size in pools(threads, len(queues), reliable=reliable))
    of_threads = min(most, by_thread(threads, reliable=reliable))
    return Worker(of_threads, most - of_threads, source)


def _worker(threads: int, version: str, size: int | None) -> Worker:
    """Sidekiq's rule at this version; without one in the record it is older than 7.0.2."""
    found = of_sidekiq(_version(version).release, size)
    named = f"Sidekiq {version}" if version != "6" else "Sidekiq up to 7.0.1"
    return Worker(threads, found.beside, f"{named}, size: {size}" if size is not None else named, found.fixed)


def _version(text: str) -> Version:
    return version_of(text) or Version("8")


def _planned(
    deployment: Deployment | Missing, version: str, size: int | None, *, alive: bool
) -> tuple[list[Worker], str]:
    """The processes that the files ask for, and what the files do not say, nor the processes that are alive."""
    if not isinstance(deployment, Deployment):
        return [], ""
    found: list[Worker] = []
    gaps = [f"{path}: {reason}" for path, reason in deployment.unreadable]
    for worker in deployment.workers:
        default = _default(version, worker.language)
        threads = worker.concurrency or default
        if threads is None:
            gaps.append(f"{worker.path} does not say its concurrency, and Sidekiq's version is not known")
            continue
        if worker.processes is None and not alive:
            gaps.append(f"{worker.path} does not say how many processes run")
        one = _asked(worker, threads, default or threads, version, size)
        found += [one] * (1 if worker.processes is None else worker.processes)
    return found, "; ".join(dict.fromkeys(gaps))


def _asked(worker: WorkerConfig, threads: int, default: int, version: str, size: int | None) -> Worker:
    """A capsule's threads come to those of the process; one that says none takes the default."""
    if worker.language == "python":
        return _ours(threads, worker.queues, worker.path)
    capsules = [own or default for _, own in worker.capsules]
    return _worker(threads + sum(capsules), version or "8", size)


def _default(version: str, language: str) -> int | None:
    if language == "python":
        return 5
    if not version:
        return None
    number = _version(version)
    return 25 if number < Version("5.2") else 10 if number < Version("7") else 5


def _others(
    deployment: Deployment | Missing, server: Server | Missing, running: list[Worker]
) -> tuple[int, str] | None:
    """Connections of web processes and others, and where the number comes from; None where nothing tells."""
    if isinstance(deployment, Deployment) and deployment.webs:
        counts = [(one.processes or 1) * min(one.threads or 5, 10) for one in deployment.webs]
        return sum(counts), "; ".join(one.path for one in deployment.webs)
    connected = server.number("connected_clients") if isinstance(server, Server) else None
    if connected is None:
        return None
    idle = sum(one.threads + 1 for one in running)
    return max(0, connected - idle), "connected now beside the workers, INFO clients"


def _nothing(fleet: Fleet | Missing, deployment: Deployment | Missing, gaps: str) -> Verdict:
    if gaps:
        return Unknown(gaps, "say it in the files, or examine the live fleet")
    missing = [one for one in (fleet, deployment) if isinstance(one, Refused)]
    if missing:
        return Unknown(missing[0].reason, missing[0].unlock)
    if isinstance(fleet, Fleet) and fleet.partial:
        return Unknown(fleet.partial, "fewer members in processes")
    return NotApplicable("no worker is alive, and no file says that one should run")


def _shown(workers: list[Worker], surge: int, total: int) -> Iterator[Evidence]:
    kinds = dict.fromkeys((one.threads, one.beside, one.fixed, one.source) for one in workers)
    for threads, beside, fixed, source in kinds:
        count = sum(
            (one.threads, one.beside, one.fixed, one.source) == (threads, beside, fixed, source) for one in workers
        )
        each = str(fixed) if fixed is not None else f"({threads} threads + {beside})"
        yield Evidence("workers", f"{count} x {each}", source)
    if surge > 1:
        yield Evidence("surge", "x 2: old and new run together at a deploy")
    yield Evidence("workers' peak", str(total))


def _shown_others(others: tuple[int, str] | None) -> Iterator[Evidence]:
    if others is not None:
        yield Evidence("web and others", str(others[0]), others[1])


def _finding(
    workers: list[Worker],
    surge: int,
    others: int,
    need: int,
    limit: ClientLimit,
    safe: float,
    evidence: tuple[Evidence, ...],
) -> Finding:
    over = need > limit.limit
    raise_to = ceil(need / safe)
    title = f"Redis accepts {counted(limit.limit, 'client')}; this fleet can open {need}"
    return Finding(
        "redis",
        title if over else f"{title}, which leaves less than {1 - safe:.0%}",
        f"{_advice(workers, surge, others, safe * limit.limit)}aise the limit to {raise_to}.",
        evidence,
        Severity.HIGH if over else Severity.HIGH.milder,
        related=("RED002",),
    )


def _advice(workers: list[Worker], surge: int, others: int, safe: float) -> str:
    """The largest concurrency that leaves this check green, up to the word before "aise the limit"."""
    room = safe - others
    if any(one.fixed is not None for one in workers):
        return f"Lower `size` so that the workers' pools stay within {max(0, floor(room / surge))} connections, or r"
    threads = floor((room / surge - sum(one.beside for one in workers)) / len(workers))
    if threads < 1:
        return f"No concurrency is low enough for {len(workers)} processes: run fewer, or r"
    each = "the process" if len(workers) == 1 else f"each of {len(workers)} processes"
    return f"Set concurrency to {threads} in {each}, or r"
