"""Entries of a sorted set bear scores that are no time of this century.

## Why it hurts
A score in milliseconds is a date in the year 58,000: the job never runs, and nobody is told. A score of seconds from
now is a date of 1970: it runs at once.

In the log: nothing.

## How it is found
Formula: fails if a score of schedule, retry or dead is more than ten years ahead, or above 0 and below 1,000,000,000
(September 2001)

Both ends of each set are read: scores in milliseconds lie far ahead, relative ones in 1970.

## When it is wrong
A job that is meant for a day more than ten years ahead.

## Confirm by hand
`redis-cli zrange schedule -3 -1 withscores`; `redis-cli zcount schedule 2100000000 +inf`.

## How to fix
Write epoch seconds where the job is scheduled: `perform_at(time.to_f)`, not `time.to_i * 1000`.

Risk: entries that are there keep their scores; each must be taken out and scheduled anew.

Undo: the old score, by ZADD of the same member.

## Unknown when
The sets may not be read.

## Source
Sidekiq's client writes the due time as float seconds, in 8 as well (lib/sidekiq/client.rb).

- SINCE_2001: a score above it may be a time at all: epoch seconds of 9 September 2001.
- DAY: seconds.
- YEAR: seconds.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.queues import JobSet, Queues
from kiqdoctor.doctor.facts.redis import ServerTime

SINCE_2001 = 1_000_000_000
DAY = 86_400.0
YEAR = 365.25 * DAY
UNITS = (("milliseconds", 1e3), ("microseconds", 1e6), ("nanoseconds", 1e9))
SHOWN = 3


@check("QUE009", severity=Severity.HIGH)
def schedule_score_unit_error(queues: Queues, clock: ServerTime) -> Iterator[Verdict]:
    for one in queues.sets:
        if one.unread:
            yield Unknown(f"the scores of {one.name} were not all read: {one.unread}")
        if one.far:
            yield _finding(
                one, one.far, "more than ten years ahead", [s for s in one.strange_scores if s > clock.now], clock.now
            )
        if one.early:
            scores = [score for score in one.strange_scores if score < SINCE_2001]
            yield _finding(one, one.early, "before September 2001", scores, clock.now)
        yield Evidence(
            f"{one.name}: strange scores",
            str(one.far + one.early),
            f"ZCOUNT {one.name}, {counted(one.size, 'entry', 'entries')}",
        )


def _finding(one: JobSet, count: int, where: str, scores: list[float], now: float) -> Finding:
    evidence = [Evidence("score", f"{score:.15g}", _read_as(score, now)) for score in scores[:SHOWN]]
    entries = counted(count, "entry", "entries") if count > 1 else "One entry"
    return Finding(
        one.subject,
        f"{entries} of {one.name} {'are' if count > 1 else 'is'} due {where}",
        "Schedule in epoch seconds; take these out and schedule them anew.",
        (Evidence("entries", f"{count} of {one.size}", f"ZCOUNT {one.name}"), *evidence),
        key=where.replace(" ", "-"),
    )


def _read_as(score: float, now: float) -> str:
    """Which unit makes it a time of these years."""
    for unit, factor in UNITS:
        if abs(score / factor - now) < 10 * YEAR:
            return f"as {unit}: {_days(score / factor - now)}"
    if score < SINCE_2001:
        return f"as seconds from now: {_days(score)}"
    return "in no unit a time near now"


def _days(seconds: float) -> str:
    return f"{abs(seconds) / DAY:.1f} days {'ahead' if seconds >= 0 else 'ago'}"
