"""Payloads are large.

## Why it hurts
Redis keeps every payload in memory, in a queue, a set and a process's record; a megabyte a job fills it, and each
fetch, retry and page of the web UI carries it over the network.

In the log: nothing, until Redis says `OOM`.

## How it is found
Formula: size = bytes of a payload without its error_backtrace; medium if one of a place is beyond huge-bytes; low if
one is beyond large-bytes, or fewer than 95 % are within usual-bytes

Where members are too large to be read, Redis' own estimate of their average size stands in; what has failed may bear a
backtrace of that size, which is not counted.

## When it is wrong
A queue of few jobs that carry documents on purpose: raise the numbers for it.

## Confirm by hand
`redis-cli lindex queue:NAME -1 | wc -c`, `redis-cli memory usage queue:NAME samples 5`.

## How to fix
Pass ids, and keep what is large in a database or object store.

Risk: what the id names must still be there when the job runs.

Undo: the argument in its old form, for as long as such jobs live.

## Unknown when
Payloads may not be read, and their average size is not known; members of retry or dead are too large to be read, so
that their backtraces cannot be left out.

## Source
Sidekiq wiki, Best Practices 1 (small and simple parameters).

- KIB: bytes.
- MOST: share of the largest that a sample shows; a choice.
- OVERHEAD: what Redis' estimate may be above the bytes themselves; measured on 7.0.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.queues import Place, Queues, Samples

KIB = 1024
USUAL = Threshold(
    name="usual-bytes",
    default=10 * KIB,
    unit="bytes",
    meaning="Nineteen of twenty payloads may hold so much.",
    source="ours",
    per=("queue",),
)
LARGE = Threshold(
    name="large-bytes",
    default=100 * KIB,
    unit="bytes",
    meaning="Any payload may hold so much.",
    source="ours",
    per=("queue",),
)
HUGE = Threshold(
    name="huge-bytes",
    default=1024 * KIB,
    unit="bytes",
    meaning="Beyond this one payload alone is a fault.",
    source="ours: more than most records of a database",
    per=("queue",),
)
MOST = 0.95
OVERHEAD = 1.1  # what Redis' estimate may be above the bytes themselves
SHOWN = 3
FAILED = ("retry", "dead")


@check("QUE011", severity=Severity.MEDIUM, thresholds=(USUAL, LARGE, HUGE))
def payload_too_large(samples: Samples, queues: Queues, thresholds: Thresholds) -> Iterator[Verdict]:
    averages = {one.subject: one.average_bytes for one in queues.all}
    averages |= {one.subject: one.average_bytes for one in queues.sets}
    for place in samples.places:
        yield from _judged(place, averages.get(place.subject), thresholds)
    if samples.partial:
        yield Unknown(f"not every queue was looked at: {samples.partial}", "a budget that reaches all queues")
    largest = max((one.size_bytes for _, one in samples.all), default=0)
    yield Evidence("largest payload", _size(largest), samples.text)


def _judged(place: Place, average: float | None, thresholds: Thresholds) -> Iterator[Verdict]:
    sizes = sorted(one.size_bytes - one.backtrace_bytes for one in place.sample)
    mean = (average or 0.0) / OVERHEAD
    if not sizes and not mean:
        yield Unknown(f"payloads of {place.subject} were not read: {place.unread or 'none came'}")
        return
    largest = max([*sizes, mean])
    p95 = sizes[int(MOST * (len(sizes) - 1))] if sizes else mean
    if largest > thresholds.of(HUGE, queue=place.queue):
        yield _finding(place, largest, p95, average, Severity.MEDIUM)
    elif not sizes and place.name in FAILED and largest > thresholds.of(USUAL, queue=place.queue):
        told = f"entries of {place.subject} hold {_size(mean)} on average; how much of that are backtraces is not known"
        yield Unknown(told, "backtraces that are shorter, or left out")
    elif largest > thresholds.of(LARGE, queue=place.queue) or p95 > thresholds.of(USUAL, queue=place.queue):
        yield _finding(place, largest, p95, average, Severity.MEDIUM.milder)
    elif place.unread:
        yield Unknown(f"payloads of {place.subject} were not read: {place.unread}")


def _finding(place: Place, largest: float, p95: float, average: float | None, severity: Severity) -> Finding:
    worst = sorted(place.sample, key=lambda one: one.backtrace_bytes - one.size_bytes)[:SHOWN]
    traces = sum(one.backtrace_bytes for one in place.sample)
    evidence = [
        Evidence("largest", _size(largest), place.unread or place.share(len(place.sample)).text),
        Evidence("95 % are within", _size(p95), "without error_backtrace"),
        *(
            Evidence(one.job_class or "unreadable", _size(one.size_bytes - one.backtrace_bytes), one.jid)
            for one in worst
        ),
    ]
    if average is not None:
        evidence.append(
            Evidence("in Redis", _size(average * place.size), f"MEMORY USAGE, {counted(place.size, 'payload')}")
        )
    if traces:
        evidence.append(Evidence("backtraces of these", _size(traces), "error_backtrace"))
    title = f"Payloads of {place.queue or place.name} hold up to {_size(largest)}"
    return Finding(place.subject, title, "Pass ids, and keep what is large elsewhere.", tuple(evidence), severity)


def _size(count: float) -> str:
    return f"{count / KIB / KIB:.1f} MiB" if count >= KIB * KIB else f"{count / KIB:.1f} KiB"
