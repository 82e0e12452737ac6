"""A worker has fewer threads for jobs than it should, or far more threads than it needs.

## Why it hurts
A processor that died and was not replaced takes no jobs, and nobody says so: the worker beats and is half as fast.
Threads that jobs start and never end take memory and connections until the process is killed.

In the log: `Cannot create processor`, or an error that ends a thread; of a leak `can't create Thread: Resource
temporarily unavailable` at its end.

## How it is found
Formula: processors < concurrency in readings LONG_S apart is high; threads > concurrency + OWN + cores + SURPLUS, or
more of them in each reading for GROWTH_S at RATE a second, is medium

The kernel shows each thread's name: `processor` up to Sidekiq 7.0, `sidekiq.CAPSULE/...` after, cut after 15 letters.
Our runtime tells how many of its own are alive. Threads of pools that bear names of their own (gRPC, V8, tokio) are
listed and not counted.

## When it is wrong
A native library's pool without names on a host of many cores.

## Confirm by hand
`cat /proc/PID/task/*/comm | sort | uniq -c`

## How to fix
Restart the worker; upgrade Sidekiq (8.1.6 mended a leak of threads with failing jobs); stop in each job what it
started.

Risk: a restart gives its jobs --timeout seconds and pushes back the others.

Undo: none is needed.

## Unknown when
The live processes are on other hosts; names of threads are not available (Ruby sets them, Python before 3.14 does not);
one reading shows too few, or more by half of SURPLUS than it needs.

## Source
Sidekiq's changes, 8.1.6 (#7006); lib/sidekiq/manager.rb replaces a processor that died.

- LONG_S: a processor that dies is replaced at once; half a minute is no moment between.
- OWN: main, heartbeat, scheduler, Ruby's timer, our runtime's watchdog, ticker and others; counted in each version.
- SURPLUS: threads; what no pool of an ordinary application is; the catalogue's.
- GROWTH_S: half an hour; a pool has filled by then; the catalogue's.
- RATE: one thread a minute.
- BOOT_S: the first beat is written before the threads begin; two beats of our runtime.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Moment, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.workers_here import Here, present
from kiqdoctor.wire.heartbeat import RUNTIME

LONG_S = 30.0
OWN = 10
SURPLUS = 50
GROWTH_S = 1800.0
RATE = 1 / 60
BOOT_S = 10.0
SHOWN = 8
OTHERS = frozenset({"sidekiq.heartbe", "sidekiq.schedul", "sidekiq.leader", "sidekiq.cron", "sidekiq.pooler"})
POOLS = (
    *("grpc", "event_engine", "default-executo", "resolver-execut", "timer_manager", "V8 ", "tokio", "rayon"),
    *("libuv", "jemalloc", "OpenBLAS", "omp", "ruby-timer", "mysqlx", "rdk:", "ddtrace", "opentelemetry"),
)


@check("THR006", severity=Severity.HIGH)
def thread_count_anomaly(
    fleet: Series[Fleet],
    local: Series[LocalProcesses],
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    seen = present(fleet.last, local.last, connection, clients)
    yield from seen.unseen()
    for one in seen.here:
        if one.process and not (one.process.quiet or one.worker.stopping):
            yield from _processors(one, fleet, local)
        yield from _surplus(one, local)
    yield seen.evidence
    for one in seen.here[:SHOWN]:
        named = ", ".join(f"{name} x{count}" for name, count in one.worker.threads[:SHOWN])
        yield Evidence(f"threads of {one.named}", f"{one.worker.thread_count}: {named}", f"/proc/{one.worker.pid}/task")


def _processors(one: Here, fleet: Series[Fleet], local: Series[LocalProcesses]) -> Iterator[Verdict]:
    wanted = one.process.concurrency if one.process else None
    if wanted is None or one.process is None:
        yield Unknown(f"{one.named} does not say how many threads it should have")
        return
    ours = one.process.runtime == RUNTIME
    now = one.process.processors if ours else _named(one.worker)
    if now is None:
        yield Unknown(f"the threads of {one.named} have no names of their own", "Ruby, or our runtime's own report")
    elif now < wanted and (one.process.beat or 0.0) - (one.process.started_at or 0.0) < BOOT_S:
        yield Unknown(f"{one.named} has just started, with {now} of {wanted} processors", f"look again in {BOOT_S:g} s")
    elif now < wanted:
        series = _told(one, fleet) if ours else _counted(one, local)
        counts = [count for count in series.facts if count is not None]
        if any(count >= wanted for count in counts):
            return
        if short := series.lacks(2, LONG_S):
            yield Unknown(f"{one.named} has {now} of {wanted} processors: {short.reason}", short.unlock)
        else:
            yield _finding(one, f"{now} of its {wanted} processors; the others died", Severity.HIGH, "processors")


def _told(one: Here, fleet: Series[Fleet]) -> Series[int | None]:
    """How many processors our runtime said that it has, in each reading of the last minutes."""
    identity = one.process.identity if one.process else ""

    def processors(moment: Fleet) -> int | None:
        return next((each.processors for each in moment.processes if each.identity == identity), None)

    return Series(tuple(Moment(each.at, processors(each.fact)) for each in fleet.within(GROWTH_S).moments))


def _counted(one: Here, local: Series[LocalProcesses]) -> Series[int | None]:
    def processors(moment: LocalProcesses) -> int | None:
        own = _of(one.worker, moment)
        return _named(own) if own else None

    return Series(tuple(Moment(each.at, processors(each.fact)) for each in local.within(GROWTH_S).moments))


def _of(worker: LocalProcess, moment: LocalProcesses) -> LocalProcess | None:
    same = (one for one in moment.all if one.pid == worker.pid and abs(one.started_at - worker.started_at) < 1)
    return next(same, None)


def _named(worker: LocalProcess) -> int | None:
    """Threads that bear a processor's name; None where no thread bears any of Sidekiq's."""
    known = [name for name, _ in worker.threads if name in {"heartbeat", "scheduler", "processor"} or _sidekiq(name)]
    if not known:
        return None
    return sum(
        count for name, count in worker.threads if name == "processor" or (_sidekiq(name) and name not in OTHERS)
    )


def _sidekiq(name: str) -> bool:
    return name.startswith("sidekiq.") or "/process" in name or "/proces" in name


def _surplus(one: Here, local: Series[LocalProcesses]) -> Iterator[Verdict]:
    total = _unpooled(one.worker)
    wanted = (one.process.concurrency if one.process else one.worker.concurrency) or 0
    own = wanted + OWN + local.last.cores
    if total is None:
        return
    if total > own + SURPLUS:
        yield _finding(one, f"{counted(total, 'thread')}, where {own} are enough", Severity.MEDIUM, "surplus")
    elif total > own + SURPLUS / 2 or _watched(local):
        yield from _growth(one, total, own, local)


def _watched(local: Series[LocalProcesses]) -> bool:
    """Whether a leak of threads would have shown; below half of the surplus it is not asked for."""
    return local.window_s >= GROWTH_S


def _growth(one: Here, total: int, own: int, local: Series[LocalProcesses]) -> Iterator[Verdict]:
    def count(moment: LocalProcesses) -> float | None:
        worker = _of(one.worker, moment)
        return None if worker is None else _unpooled(worker)

    moments = tuple(each for each in local.moments if count(each.fact) is not None)
    if moments[-1].at - moments[0].at < GROWTH_S:
        yield Unknown(
            f"{one.named} has {counted(total, 'thread')}, {own} are enough; whether it grows", f"--for {GROWTH_S:.0f}"
        )
    elif Series(moments).grows(count) and (Series(moments).rate(count) or 0.0) >= RATE:
        yield _finding(one, f"{counted(total, 'thread')}, and more with each reading", Severity.MEDIUM, "growth")


def _unpooled(worker: LocalProcess) -> int | None:
    """All of its threads but those of pools with names of their own."""
    if worker.thread_count is None:
        return None
    return worker.thread_count - sum(count for name, count in worker.threads if name.startswith(POOLS))


def _finding(one: Here, has: str, severity: Severity, key: str) -> Finding:
    pid = one.worker.pid
    return Finding(
        one.subject,
        f"{one.named} has {has}",
        "Restart it when it is idle; stop in each job the threads that it starts; upgrade Sidekiq.",
        tuple(Evidence(name, str(count), f"/proc/{pid}/task/*/comm") for name, count in one.worker.threads[:SHOWN]),
        severity,
        key=key,
        lasting=one.lasting,
    )
