"""The retry set is large or grows, or one error fills it.

## Why it hurts
Every retry takes a thread from fresh jobs; when a service is away, hours of work come back at once, and what was tried
25 times dies.

In the log: the same error of the same class, again and again.

## How it is found
Formula: high if at least dominant-share of a random sample have one class and error, and that stands for more than
dominant jobs; medium if the set holds more than large jobs, or grew by growth-share within five minutes; info where it
held steady for five minutes or longer

200 entries are drawn at random; the share comes with Wilson's interval.

## When it is wrong
Work that is built on failing and trying again (polling by retry): raise `large` and `dominant`.

## Confirm by hand
`redis-cli zcard retry`, `redis-cli zrandmember retry 20 withscores`.

## How to fix
Mend or pause the class that fails; then try its jobs again. Those that die soonest are named: move them out of the way
before they do.

Risk: trying all again at once is a burst for whatever failed.

Undo: jobs that were tried again are back in the set when they fail.

## Unknown when
The set may not be read; fewer than nine of ten sampled entries can be read; there is only one reading and the set is of
a size at which only growth would tell.

## Source
Sidekiq's retries (lib/sidekiq/job_retry.rb): about 21 days for 25 tries.

- STEADY_SHARE: change within which a set is steady; a choice.
- NOTICED: jobs that a surge has at least; a choice.
- WINDOW: seconds in which a surge is told from a rise; the catalogue's.
- READABLE: share of a sample that must have been understood; a choice.
- NEAR: tries before death from which on it is near; a choice.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.queues import Place, Queues, Sample, Samples

LARGE = Threshold(
    name="large",
    default=1000,
    unit="jobs",
    meaning="The retry set may hold so many.",
    source="ours",
)
GROWTH = Threshold(
    name="growth-share",
    default=0.2,
    unit="of its size",
    meaning="It may grow by so much within five minutes.",
    source="ours",
)
DOMINANT = Threshold(
    name="dominant",
    default=200,
    unit="jobs",
    meaning="One class may fail with one error so often.",
    source="ours: the size of the sample",
)
SHARE = Threshold(
    name="dominant-share",
    default=0.6,
    unit="of the set",
    meaning="From this share on one class and error dominate.",
    source="ours",
    most=1.0,
)
WINDOW = 300.0  # seconds
STEADY_SHARE = 0.05
NOTICED = 50
READABLE = 0.9
NEAR = 2  # tries before death
SHOWN = 5


@check(
    "QUE004",
    severity=Severity.HIGH,
    caused_by=("QUE005", "QUE006", "QUE021", "PRO018"),
    thresholds=(LARGE, GROWTH, DOMINANT, SHARE),
)
def retry_set_surge(samples: Samples, queues: Series[Queues], thresholds: Thresholds) -> Iterator[Verdict]:
    size, place = queues.last.set("retry").size, samples.place("retry")
    readable = [one for one in place.others if not one.error]
    if place.unread or (size and not place.others) or len(readable) < READABLE * len(place.others):
        why = place.unread or f"{len(readable)} of {len(place.others)} sampled entries can be read"
        yield Unknown(f"what fails in retry is not known: {why}")
        return
    steady, growth = _steady(queues), _growth(queues)
    groups = Counter((one.job_class, one.error_class) for one in readable)
    group, count = groups.most_common(1)[0] if groups else (("", ""), 0)
    share = place.share(count)
    shown = tuple(_shown(place, groups, readable))
    if share.value >= thresholds[SHARE] and share.jobs > thresholds[DOMINANT]:
        title = f"About {share.jobs} of {size} retries are {group[0]} failing with {group[1] or 'no error class'}"
        remedy = f"Mend or pause {group[0]}, then try its jobs again."
        yield Finding("set:retry", title, remedy, shown, Severity.INFO if steady else None, key=":".join(group))
    elif size > thresholds[LARGE] or growth >= thresholds[GROWTH]:
        grown = f", {growth:.0%} more within {min(queues.window_s, WINDOW):.0f} s" if growth else ""
        severity = Severity.INFO if steady else Severity.HIGH.milder
        yield Finding(
            "set:retry",
            f"{counted(size, 'job waits', 'jobs wait')} to be tried again{grown}",
            "Mend what fails.",
            shown,
            severity,
        )
    elif size > thresholds[DOMINANT] and (lacks := queues.lacks()) is not None:
        yield Unknown(
            f"{counted(size, 'job waits', 'jobs wait')} to be tried again; whether they become more: {lacks.reason}",
            lacks.unlock,
        )
    yield Evidence("retry", str(size), "ZCARD retry")
    yield from shown


def _sizes(queues: Series[Queues]) -> list[int]:
    return [one.set("retry").size for one in queues.facts]


def _steady(queues: Series[Queues]) -> bool:
    """Whether it held its size for as long as growth is judged over."""
    sizes = _sizes(queues)
    return queues.window_s >= WINDOW and max(sizes) - min(sizes) <= STEADY_SHARE * max(sizes)


def _growth(queues: Series[Queues]) -> float:
    """By what share of its size it grew within five minutes; 0 where that is too little to notice."""
    sizes = _sizes(queues.within(WINDOW))
    grown = sizes[-1] - sizes[0]
    return grown / max(sizes[0], 1) if grown >= NOTICED else 0.0


def _shown(place: Place, groups: Counter[tuple[str, str]], readable: list[Sample]) -> Iterator[Evidence]:
    for (job_class, error), count in groups.most_common(SHOWN):
        yield Evidence(f"{job_class} {error}", place.share(count).text, "a random sample of retry")
    messages = Counter(one.message for one in readable if one.message)
    if messages:
        yield Evidence("most frequent message", messages.most_common(1)[0][0], "error_message, values masked")
    near = [one for one in readable if _dies_soon(one)]
    if near:
        jids = ", ".join(one.jid for one in near[:SHOWN])
        yield Evidence(
            f"within {counted(NEAR, 'try', 'tries')} of death",
            f"{place.share(len(near)).text}: {jids}",
            "retry_count, retry",
        )
    if any(place.due):
        yield Evidence("due by minute, the next ten", ", ".join(map(str, place.due)), "ZCOUNT retry")


def _dies_soon(one: Sample) -> bool:
    return one.retry_count is not None and one.retries is not None and one.retries - one.retry_count <= NEAR
