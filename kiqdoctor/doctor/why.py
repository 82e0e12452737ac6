"""Where is my job, why has it not run, when will it: what was found, and what the checks and the facts say of it."""

from collections.abc import Iterable, Iterator, Sequence
from math import sqrt
from typing import Final, TypeVar

import msgspec

from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts import tracing as places
from kiqdoctor.doctor.facts.beside import Batches, Locks
from kiqdoctor.doctor.facts.fleet import Fleet, LongJobs, PrivateLists, Process
from kiqdoctor.doctor.facts.queues import Durations, Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.facts.tracing import Hit, Pace, Sought, Trace
from kiqdoctor.doctor.report import Result
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.doctor.verdict import Evidence, Finding

Fact = TypeVar("Fact")

OF_QUEUES: Final = frozenset({"QUE001", "QUE003", "PRO015"})  # checks whose findings about a queue stop all its jobs
OF_ALL: Final = frozenset({"PRO001", "QUE003"})  # about the whole fleet
OF_RUNS: Final = frozenset({"PRO006", "PRO008", "PRO012", "PRO016"})  # about a process, or what it runs
CHECKS: Final = OF_QUEUES | OF_ALL | OF_RUNS | {"QUE008", "PRO014"}
"""Checks whose findings may be why a job does not run; a queue that is merely slow is none of it."""
WAITING: Final = frozenset({places.QUEUE, places.SCHEDULE, places.RETRY})
TIMED: Final = frozenset({places.SCHEDULE, places.RETRY})
OVERDUE: Final = 60.0  # seconds: as QUE008 has it, for a small fleet
YEAR: Final = 365.25 * 24 * 3600.0  # seconds
FAR: Final = 10 * YEAR  # as QUE009 has it
POLL: Final = 5.0  # seconds between two looks at schedule and retry, on average, of the whole fleet
LATEST_POLL: Final = 30.0  # seconds: of many processes one looks sooner
RUNNING_SHOWN: Final = 10  # jobs in flight of which it is told how unusual they are
FIRST_LOOK: Final = 2.0  # seconds that an idle thread may wait in its pop


class Reason(msgspec.Struct, frozen=True):
    """Something that keeps it from running; ``check`` None: no fault, but its state (dead, expired)."""

    check: str | None
    subject: str
    title: str
    evidence: tuple[Evidence, ...] = ()


class Estimate(msgspec.Struct, frozen=True):
    """Seconds from now."""

    low: float
    high: float


class Answer(msgspec.Struct, frozen=True):
    """``matching``: how many such jobs there are, of which ``hits`` are the first; ``told``: what else is known of it.

    ``basis``: how ``starts_in_s`` was reckoned, or why there is none. ``unknown``: what was not looked at, and what
    would open it.
    """

    sought: Sought
    now: float
    hits: tuple[Hit, ...] = ()
    matching: int = 0
    reasons: tuple[Reason, ...] = ()
    starts_in_s: Estimate | None = None
    basis: str = ""
    looked_at: tuple[tuple[str, int], ...] = ()
    unknown: tuple[str, ...] = ()
    told: tuple[str, ...] = ()

    @property
    def found(self) -> bool:
        """Whether it is anywhere."""
        return bool(self.hits)


class Known(msgspec.Struct, frozen=True):
    """The facts that an answer is made of; what could not be read is empty here, and in ``gaps`` with its reason."""

    trace: Trace
    fleet: Fleet
    queues: Queues
    private: PrivateLists
    locks: Locks
    batches: Batches
    now: float
    gaps: tuple[str, ...] = ()
    durations: Durations | None = None
    unrecorded: str = ""  # why the durations were not read
    long: LongJobs = LongJobs()


def known(snapshot: Snapshot, local_now: float) -> Known:
    """What of them was read."""
    empty = {Trace: Trace(), Fleet: Fleet(), Queues: Queues(), PrivateLists: PrivateLists(), Locks: Locks()}
    empty |= {Batches: Batches(), ServerTime: ServerTime(local_now, local_now)}
    gaps = [(kind, value) for kind in empty if isinstance(value := snapshot.get(kind), Refused)]
    said, durations = dict.fromkeys(_gap(one) for _, one in gaps), snapshot.get(Durations)

    def read(kind: type[Fact]) -> Fact:
        value = snapshot.get(kind)
        return value if isinstance(value, kind) else empty[kind]  # type: ignore[return-value]

    return Known(
        trace=read(Trace),
        fleet=read(Fleet),
        queues=read(Queues),
        private=read(PrivateLists),
        locks=read(Locks),
        batches=read(Batches),
        now=read(ServerTime).now,
        gaps=tuple(said),
        durations=durations if isinstance(durations, Durations) else None,
        unrecorded=_gap(durations) if isinstance(durations, Refused) else "",
        long=long if isinstance(long := snapshot.get(LongJobs), LongJobs) else LongJobs(),
    )


def _gap(refused: Refused) -> str:
    return f"{refused.reason}{f' (to settle it: {refused.unlock})' if refused.unlock else ''}"


def answer(sought: Sought, facts: Known, results: Sequence[Result]) -> Answer:
    """What is to be said of it."""
    hits, trace = _in_turn(facts.trace.hits), facts.trace
    reasons = _reasons(facts, hits, results)
    estimate, basis = _starts(facts, hits, reasons) if len(hits) == 1 else (None, _no_single(hits))
    return Answer(
        sought=sought,
        now=facts.now,
        hits=hits,
        matching=trace.matching,
        reasons=reasons,
        starts_in_s=estimate,
        basis=basis,
        looked_at=trace.looked_at,
        unknown=tuple(dict.fromkeys((*facts.gaps, *trace.unknown))),
        told=tuple(dict.fromkeys(_told(sought, facts))),
    )


def status(found: Answer) -> int:
    """0 answered; 1 found, and something keeps it from running; 3 not found, and not all could be looked at."""
    if found.found:
        return 1 if found.reasons else 0
    return 3 if found.unknown else 0


def _in_turn(hits: Sequence[Hit]) -> tuple[Hit, ...]:
    """As they were found, but what is next in a queue comes before what waits behind it."""
    order = {key: number for number, key in enumerate(dict.fromkeys((hit.place, hit.queue) for hit in hits))}
    return tuple(sorted(hits, key=lambda hit: (order[hit.place, hit.queue], hit.position or 0)))


def _reasons(facts: Known, hits: Sequence[Hit], results: Sequence[Result]) -> tuple[Reason, ...]:
    """The checks' own findings about where it lies, then what the facts say without a check's patience."""
    judged = list(_of_checks(facts, hits, results))
    said = {one.check for one in judged if one.check}
    plain = {(one.check, one.subject): one for one in _of_facts(facts, hits) if one.check not in said}
    return (*judged, *plain.values())


def _of_checks(facts: Known, hits: Sequence[Hit], results: Sequence[Result]) -> Iterator[Reason]:
    for result in results:
        for reported in result.findings:
            finding = reported.finding
            if any(_stops(result.check.id, finding, hit, facts.now) for hit in hits):
                yield Reason(result.check.id, finding.subject, finding.title, finding.evidence)


def _stops(check: str, finding: Finding, hit: Hit, now: float) -> bool:
    """Whether this finding is about the place where this job lies, or about the job."""
    due = hit.place == places.QUEUE or (hit.due_at is not None and hit.due_at <= now)
    if hit.place in WAITING:
        return (
            (check in OF_QUEUES and finding.subject == f"queue:{hit.queue}")
            or (check in OF_ALL and finding.subject == "redis" and due)
            or (check == "QUE008" and finding.subject == f"set:{hit.place}" and due)
        )
    named = (finding.title, *(one.value for one in finding.evidence))
    if hit.place == places.IN_FLIGHT:
        of_it = finding.subject == f"process:{hit.process}" and check != "PRO006"
        return check in OF_RUNS and (of_it or any(hit.jid in text for text in named if hit.jid))
    return hit.place == places.PRIVATE and check == "PRO014" and any(hit.process in text for text in named)


def _of_facts(facts: Known, hits: Sequence[Hit]) -> Iterator[Reason]:
    for hit in hits:
        if hit.place in WAITING:
            yield from _waiting(facts, hit)
        elif hit.place == places.DEAD:
            said = (Evidence("why it died", hit.error or "not said", "dead"),)
            yield Reason(None, "set:dead", "It is dead: nothing runs it until somebody retries it", said)
        elif hit.place == places.IN_FLIGHT:
            yield from _running(facts, hit)
        elif hit.place == places.PRIVATE:
            yield from _taken(facts, hit)
        else:
            yield _elsewhere(hit)


def _waiting(facts: Known, hit: Hit) -> Iterator[Reason]:
    live, subject = facts.fleet.live, f"queue:{hit.queue}"
    if hit.expiry is not None and hit.expiry < facts.now:
        late = (Evidence("expired", f"{facts.now - hit.expiry:.0f} s ago", "expiry"),)
        yield Reason(None, f"job:{hit.job_class}", "It has expired: whoever takes it throws it away", late)
    late_s = 0.0 if hit.due_at is None else facts.now - hit.due_at
    due = hit.place == places.QUEUE or late_s > 0
    if not live and due and not facts.fleet.partial and not _refused(facts):
        yield Reason("PRO001", "redis", "No worker is alive", (Evidence("live processes", "0", "processes, beat"),))
    elif hit.place in TIMED and late_s > max(OVERDUE, 3 * POLL * facts.fleet.members):
        yield Reason("QUE008", f"set:{hit.place}", f"It is overdue by {late_s:.0f} s: nobody moves due jobs on")
    elif -late_s > FAR:
        years = -late_s / YEAR
        yield Reason("QUE009", f"set:{hit.place}", f"It is due in {years:,.0f} years: its time is in another unit")
    if hit.queue in facts.trace.paused:
        yield Reason("QUE003", subject, f"{hit.queue} is paused", (Evidence("paused", hit.queue, "SMEMBERS paused"),))
    takers = [one for one in live if hit.queue in (one.queues or ())]
    if live and not takers and not facts.fleet.partial and all(one.queues for one in live):
        takes = tuple(Evidence(one.identity, ", ".join(one.queues or ()), "processes, info") for one in live[:10])
        yield Reason("QUE001", subject, f"No live process takes {hit.queue}", takes)
    elif takers and all(one.quiet for one in takers):
        yield Reason("QUE003", subject, f"Every process that takes {hit.queue} is quiet")


def _refused(facts: Known) -> bool:
    """Whether the fleet itself could not be read: then nothing says that nobody lives."""
    return not facts.fleet.members and bool(facts.gaps)


def _running(facts: Known, hit: Hit) -> Iterator[Reason]:
    process = next((one for one in facts.fleet.processes if one.identity == hit.process), None)
    if process is not None and not process.live:
        age = "has no record" if process.beat_age_s is None else f"has not beaten for {process.beat_age_s:.0f} s"
        yield Reason("PRO008", f"process:{hit.process}", f"{hit.process}, which runs it, {age}")


def _taken(facts: Known, hit: Hit) -> Iterator[Reason]:
    owner = next((one for one in facts.private.all if one.key == hit.key), None)
    living = {one.identity for one in facts.fleet.live}
    if owner is None or owner.signed or owner.owner in living:
        return
    sign = (Evidence("sign of life", f"{owner.sign or 'none known'}: not there", "EXISTS"),)
    yield Reason(
        "PRO014", f"process:{hit.process}", f"It lies in the private list of {hit.process}, which is gone", sign
    )


def _elsewhere(hit: Hit) -> Reason:
    if hit.database is not None:
        return Reason("NSP002", "redis", f"It lies in database {hit.database}, which nobody here works on")
    return Reason("NSP001", "redis", f"It lies under the namespace {hit.namespace or '(none)'}")


def _starts(facts: Known, hits: Sequence[Hit], reasons: Sequence[Reason]) -> tuple[Estimate | None, str]:
    [hit] = hits
    if hit.place == places.IN_FLIGHT and not any(one.check == "PRO008" for one in reasons):
        return None, "it runs"
    if reasons:
        return None, "something keeps it from running"
    if hit.place in TIMED and hit.due_at is not None:
        return _when_due(facts, hit.queue, hit.due_at)
    if hit.place == places.QUEUE and hit.position is not None:
        return _when_taken(facts, hit, facts.trace.pace)
    return None, "its process has it: it runs, or is next there"


def _when_due(facts: Known, queue: str, due_at: float) -> tuple[Estimate | None, str]:
    left = max(0.0, due_at - facts.now)
    waiting = sum(one.size for one in facts.queues.all if one.name == queue)
    if waiting:
        return None, f"due in {left:.0f} s, then behind what waits in {queue} by then ({waiting} jobs now)"
    poll = min(1.5 * POLL * max(1, facts.fleet.members), LATEST_POLL)
    said = f"due in {left:.0f} s, and one of {facts.fleet.members} processes looks within {poll:g} s; {queue} is empty"
    return Estimate(left, left + poll), said


def _when_taken(facts: Known, hit: Hit, pace: Pace | None) -> tuple[Estimate | None, str]:
    busy, threads = _threads(one for one in facts.fleet.live if hit.queue in (one.queues or ()) and not one.quiet)
    if pace is None:
        return None, f"{hit.position} jobs are before it, and how it moves up was not watched"
    if pace.gone:
        return Estimate(0.0, 0.0), "it was taken from its queue while it was looked at"
    moved = pace.before - pace.after
    if not moved:
        if not pace.after and busy < threads:
            return Estimate(0.0, FIRST_LOOK), f"it is next, and {threads - busy} of {threads} threads wait for jobs"
        return None, f"nothing was taken before it within {pace.seconds:.1f} s; {busy} of {threads} threads are busy"
    fast, slow = (sqrt(moved + 1) + 1) ** 2, max((sqrt(moved) - 1) ** 2, 0.025)
    said = (
        f"{pace.after} jobs before it / {moved / pace.seconds:.2f} a second ({moved} taken in {pace.seconds:.1f} s;"
        " low and high are 95 % of a Poisson count)"
    )
    return Estimate(pace.after * pace.seconds / fast, (pace.after + 1) * pace.seconds / slow), said


def _threads(processes: Iterable[Process]) -> tuple[int, int]:
    found = [(one.busy or 0, one.concurrency or 0) for one in processes]
    return sum(busy for busy, _ in found), sum(threads for _, threads in found)


def _no_single(hits: Sequence[Hit]) -> str:
    return "it lies in several places" if hits else "it was not found"


def _unusual(hit: Hit, facts: Known) -> str:
    """How long it runs beside how long jobs of its class take."""
    name = hit.job_class or "its class"
    if hit.since is None:
        return f"how unusual it is, is not known: {hit.process} does not say since when it runs"
    running = max(0.0, facts.now - hit.since)
    long, mean = facts.long.of(hit.jid), facts.durations.of(hit.job_class) if facts.durations else None
    if long is not None and long.usual_s is not None:
        runs = f"{counted(long.runs, 'run')} of the last two hours"
        return f"it runs for {running:.0f} s, and 95 of 100 of {name} take {long.usual_s:g} s at most ({runs})"
    if facts.durations and mean:
        count = facts.durations.runs.get(hit.job_class, 0)
        runs = f"{counted(count, 'run')} of the last hour"
        return f"it runs for {running:.0f} s, {running / mean:.1f} times the mean of {name} ({mean:.3g} s, {runs})"
    why = facts.unrecorded or f"nobody recorded how long {name} takes; Sidekiq 7 or later counts it"
    return f"how unusual it is that it runs for {running:.0f} s is not known: {why}"


def _told(sought: Sought, facts: Known) -> Iterator[str]:
    """What stands elsewhere about a job by its jid; where it is nowhere, what that can mean."""
    jid, trace = sought.jid, facts.trace
    yield from (_unusual(one, facts) for one in trace.hits[:RUNNING_SHOWN] if one.place == places.IN_FLIGHT)
    if jid:
        yield from (f"it holds the unique lock {one.key}" for one in facts.locks.all if one.jid == jid)
        yield from (f"the batch {one.key} waits for it" for one in facts.batches.all if jid in one.remaining)
    if trace.status:
        when = "" if trace.status_at is None else f", {facts.now - trace.status_at:.0f} s ago"
        yield f"our runtime tells its status: {trace.status}{when}"
    yield from (
        f"its class is limited: {counted(count, 'job holds', 'jobs hold')} a place ({key})"
        for key, count in trace.limits
    )
    if trace.hits or not jid or trace.unknown or facts.gaps:
        return
    looked = sum(count for _, count in trace.looked_at)
    where, jobs = counted(len(trace.looked_at), "place"), counted(looked, "job")
    yield f"it is nowhere in {where} with {jobs}: no worker will run it from there"
    yield (
        "so it ended (done jobs leave nothing behind), expired, was dead longer than the dead set is kept, or was lost"
        " with a process that was killed while it ran it under basic fetch"
    )
    if trace.processed is not None:
        yield f"{counted(trace.processed, 'job has', 'jobs have')} ended here so far (stat:processed)"
    if any(not one.reliable and not facts.private.keeps(one) for one in facts.fleet.live):
        yield "a process shows what it took with its next beat, within 10 s: look again to be sure that it does not run"
