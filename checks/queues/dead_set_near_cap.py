"""The dead set is almost full, or its oldest entries are about to be thrown away.

## Why it hurts
Each job that dies pushes the oldest dead one out, without a word. What somebody meant to look at next month is gone.

In the log: nothing.

## How it is found
Formula: low if its size >= near-share of cap, or the oldest entry is older than old-days

The cap is `dead_max_jobs` of the application's sidekiq.yml, where it has one.

## When it is wrong
Nobody looks at dead jobs here: raise the numbers, or write `dead: false` in the classes.

## Confirm by hand
`redis-cli zcard dead`, `redis-cli zrange dead 0 0 withscores`.

## How to fix
Look through it, export and delete; raise `dead_max_jobs`; have somebody told of each death (`death_handlers`).

Risk: a larger set takes more memory.

Undo: the old number; Sidekiq trims at the next death.

## Unknown when
The set may not be read.

## Source
Sidekiq's configuration: dead_max_jobs 10,000 and dead_timeout_in_seconds of 180 days (lib/sidekiq/config.rb); it is
trimmed at each death, to one less.

- DAYS: after so many days an entry is trimmed; Sidekiq's default.
- DAY: seconds.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.config import WorkerSettings
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.queues import Queues, Samples
from kiqdoctor.doctor.facts.redis import ServerTime

CAP = Threshold(
    name="cap",
    default=10_000,
    unit="jobs",
    meaning="How many dead jobs are kept: dead_max_jobs.",
    source="Sidekiq's default",
    least=1,
)
NEAR = Threshold(
    name="near-share",
    default=0.8,
    unit="of the cap",
    meaning="From this share on it is almost full.",
    source="ours",
    most=1.0,
)
OLD = Threshold(
    name="old-days",
    default=150,
    unit="days",
    meaning="The oldest entry may be so old.",
    source="ours: a month before Sidekiq trims it",
)
DAY = 86_400.0
DAYS = 180


@check("QUE007", severity=Severity.MEDIUM, caused_by=("QUE004", "QUE006", "QUE021"), thresholds=(CAP, NEAR, OLD))
def dead_set_near_cap(
    queues: Queues,
    clock: ServerTime,
    samples: Samples | Missing,
    settings: WorkerSettings | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    dead = queues.set("dead")
    cap, whose = _cap(settings, thresholds)
    days = (clock.now - dead.lowest_score) / DAY if dead.size and dead.lowest_score is not None else 0.0
    shown = (
        Evidence("dead", f"{dead.size} of {cap:.0f}", f"ZCARD dead; the cap is {whose}"),
        Evidence("oldest", f"{days:.0f} of {DAYS} days old" if dead.size else "none", "ZRANGE dead 0 0"),
        *_rate(samples, dead.size, clock.now),
    )
    if dead.unread:
        yield Unknown(f"the dead set was not read: {dead.unread}")
    elif dead.size >= thresholds[NEAR] * cap:
        losing = ", and each death discards the oldest" if dead.size >= cap - 1 else ""
        title = f"The dead set holds {dead.size} of {cap:.0f}{losing}"
        remedy = "Look through it, export and delete, or raise dead_max_jobs."
        yield Finding("set:dead", title, remedy, shown, Severity.MEDIUM.milder, key="full")
    elif days >= thresholds[OLD]:
        title = f"The oldest dead job is {days:.0f} days old, and is discarded after {DAYS}"
        remedy = "Look through the oldest, export and delete."
        yield Finding("set:dead", title, remedy, shown, Severity.MEDIUM.milder, key="old")
    yield from shown


def _cap(settings: WorkerSettings | Missing, thresholds: Thresholds) -> tuple[float, str]:
    """How many are kept, and who says so: what was turned, then the application's own file, then Sidekiq."""
    if thresholds[CAP] != CAP.default:
        return thresholds[CAP], "configured for this check"
    told = settings.numbers("dead_max_jobs") if isinstance(settings, WorkerSettings) else ()
    if told:
        value, where = max(told)
        return value, f"dead_max_jobs of {where}"
    return CAP.default, "Sidekiq's default: no configuration of it was seen"


def _rate(samples: Samples | Missing, size: int, now: float) -> Iterator[Evidence]:
    """Deaths of the last day, as the sample has them."""
    if not isinstance(samples, Samples) or not size:
        return
    place = samples.place("dead")
    lately = sum(one.score is not None and now - one.score < DAY for one in place.others)
    if place.others:
        yield Evidence("died within a day", f"about {place.share(lately).jobs}", place.share(lately).text)
