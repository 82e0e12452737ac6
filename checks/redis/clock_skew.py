"""Clocks of Redis, workers, producers or this host differ.

## Why it hurts
What is scheduled carries the clock of the host that pushed it, and is due by the clock of the host that polls: jobs run
early or late, and latencies, stuck jobs and the age of heartbeats are reckoned wrongly, by this doctor too.

In the log: nothing; `enqueued_at` lies after `start`, or a queue's latency is negative.

## How it is found
Formula: |Redis' clock - ours| - RTT / 2 > FAR, or a host's beat is more than AHEAD after its own record's last
renewal or more than FAR before it, or a waiting job was enqueued more than FAR after Redis' clock (medium);
|Redis' clock - ours| - RTT / 2 > NEAR (low)

TIME is read between two looks at our own clock. Each beat gives the record a TTL of 60 s: where 57 s are left, the beat
is 3 s old, whatever it says itself. Where the TTL does not tell, a beat that is yet to come does.

## When it is wrong
A payload that somebody wrote by hand, with a stamp of tomorrow; more than a day ahead counts as such.

## Confirm by hand
`redis-cli time; date +%s.%N` on each host; `chronyc tracking` or `timedatectl`.

## How to fix
Run NTP or chrony on the host that is named.

Risk: a clock that is set back at once makes what was scheduled meanwhile late; let it slew (`chronyc makestep` steps).

Undo: none is needed.

## Unknown when
TIME is refused: then hosts are compared with one another only; or its round trip takes over a second; or no beat can be
read.

## Source
lib/sidekiq/scheduled.rb scores by the pusher's `Time.now` and compares with the poller's; lib/sidekiq/launcher.rb.

- AHEAD: seconds; a beat cannot come from the future.
- FAR: seconds; more than any poll interval hides.
- DAY: seconds; further ahead a stamp is no clock's.
- LONG: seconds of a round trip, beyond which it hides what is measured.
- TTL: seconds that a beat gives its record.
- BEAT: seconds between two beats; a record that was renewed longer ago was not renewed by a beat.
"""

from collections.abc import Iterator
from dataclasses import replace

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.facts.redis import ServerTime

NEAR = Threshold(
    name="near-s",
    default=2,
    unit="s",
    meaning="Clocks that are kept by NTP differ by less.",
    source="ours: NTP over the internet keeps a tenth of a second",
    least=0.1,
)
AHEAD = 5
FAR = 30
DAY = 86_400
LONG = 1
TTL = 60
BEAT = 10
SHOWN = 5
REMEDY = "Run NTP or chrony there: schedules, latencies and stuck jobs are reckoned from these clocks."


@check("RED011", severity=Severity.MEDIUM, thresholds=(NEAR,))
def clock_skew(
    fleet: Fleet, queues: Queues | Missing, clock: ServerTime | Missing, thresholds: Thresholds
) -> Iterator[Verdict]:
    live = [one for one in fleet.processes if one.exists and one.beat is not None]
    if not isinstance(clock, ServerTime):
        yield from _spread(live)
        yield Unknown(f"Redis' clock: {clock.reason}", getattr(clock, "unlock", ""))
        return
    if clock.round_trip_s > LONG:
        yield Unknown(f"TIME took {clock.round_trip_s:.1f} s, which hides what it measures", "a shorter way to Redis")
        return
    yield from _ours(clock, thresholds[NEAR])
    yield from _hosts([_by_redis(one, clock) for one in live] if fleet.by_ours else live)
    if isinstance(queues, Queues):
        yield from _producers(queues, clock)


def _ours(clock: ServerTime, near: float) -> Iterator[Verdict]:
    offset, error = clock.now - clock.local_now, clock.round_trip_s / 2
    sure = abs(offset) - error
    told = Evidence("Redis' clock against ours", f"{offset:+.3f} s, give or take {error:.3f} s", "TIME")
    if sure > near:
        title = f"Redis' clock is {abs(offset):.0f} s {'ahead of' if offset > 0 else 'behind'} this host's"
        severity = Severity.MEDIUM if sure > FAR else Severity.MEDIUM.milder
        yield Finding("redis", title, REMEDY, (told,), severity, key="local")
    yield told


def _by_redis(process: Process, clock: ServerTime) -> Process:
    """The same with its age as Redis' clock has it."""
    return process if process.beat_age_s is None else replace(process, beat_age_s=process.beat_age_s + clock.ahead_s)


def _hosts(live: list[Process]) -> Iterator[Verdict]:
    """Each host by the process that shows it most."""
    told: set[str] = set()
    for one in sorted(live, key=lambda one: -abs(_skew(one))):
        skew, host = _skew(one), one.hostname
        if host in told or not (skew > AHEAD or skew < -FAR):
            continue
        told.add(host)
        way = "ahead of" if skew > 0 else "behind"
        yield Finding(
            f"host:{host}",
            f"The clock of {host} is {abs(skew):.0f} s {way} Redis'",
            REMEDY,
            (
                Evidence("beat, by its own clock", f"{one.beat_age_s:.0f} s ago", "beat, TIME"),
                Evidence("beat, by its record's TTL", _renewed(one), "PTTL"),
            ),
            key="beat",
        )
    hosts = {one.hostname for one in live} - told
    yield Evidence("hosts whose beats agree with Redis' clock", ", ".join(sorted(hosts)[:SHOWN]) or "none", "beat")


def _skew(process: Process) -> float:
    """How far its clock is ahead, as far as it is certain: a beat ahead of Redis, or long before its own renewal."""
    age, ttl = process.beat_age_s or 0.0, process.ttl_s
    if ttl is None or not 0 < ttl <= TTL:
        return max(0.0, -age)
    ahead = TTL - 1 - ttl - age if ttl >= TTL - BEAT else 0.0  # the TTL is told in whole seconds, rounded down
    return max(ahead, -age) if max(ahead, -age) > 0 else min(0.0, TTL - ttl - age)


def _renewed(process: Process) -> str:
    return "not told" if process.ttl_s is None else f"{TTL - process.ttl_s} s ago"


def _producers(queues: Queues, clock: ServerTime) -> Iterator[Verdict]:
    """Jobs that wait and were enqueued in the future: the clock of whoever pushed them is ahead."""
    for queue in queues.all:
        ahead = [
            (one.enqueued_at - clock.now, one.job_class)
            for one in queue.sample
            if one.enqueued_at is not None and FAR < one.enqueued_at - clock.now < DAY
        ]
        if ahead:
            seconds, job_class = max(ahead)
            title = f"A job of {queue.name} was enqueued {seconds:.0f} s in the future: its producer's clock is ahead"
            evidence = (Evidence("class", job_class or "?", "enqueued_at, TIME"),)
            yield Finding(queue.subject, title, REMEDY, evidence, key="enqueued-at")


def _spread(live: list[Process]) -> Iterator[Finding]:
    """Without Redis' clock: the newest beats of two hosts, renewed within one TTL, lie far apart."""
    newest: dict[str, float] = {}
    for one in live:
        if one.beat is not None and one.ttl_s is not None:
            newest[one.hostname] = max(newest.get(one.hostname, 0.0), one.beat + TTL - one.ttl_s)
    if len(newest) > 1:
        first, last = min(newest, key=lambda host: newest[host]), max(newest, key=lambda host: newest[host])
        apart = newest[last] - newest[first]
        if apart > FAR:
            title = f"The clocks of {first} and {last} are {apart:.0f} s apart; which one is wrong is not known"
            evidence = (Evidence("beats", f"{apart:.0f} s apart", "beat, PTTL"),)
            yield Finding("redis", title, REMEDY, evidence, key="spread")
