"""Payloads are broken: not JSON, or without what every job has.

## Why it hurts
A worker that takes one cannot run it: bytes that are no JSON go to the dead set at once, an object without class or
args raises inside Sidekiq itself, and one without a jid cannot be found, retried or deleted by it.

In the log: `Invalid JSON`, `Internal exception!`, a NoMethodError in Sidekiq's own lines.

## How it is found
Formula: high if a sampled payload is not a JSON object, lacks class, args or jid, has args that are no list, a retry
that is neither a number nor true or false, an `at` in a queue, or is not UTF-8; medium in the dead set, where it is
out of the way; for stamps see below

Stamps are float seconds up to Sidekiq 7 and integer milliseconds from 8 on. Where both are there while both versions
run, that is info; medium where a process up to 7 takes a queue with integer milliseconds, which it reads as seconds,
and that is no upgrade under way: within window-s after the newest process of 8 has started it is info, too.

## When it is wrong
Resque's payloads have no jid either: NSP004 tells of those.

## Confirm by hand
`redis-cli lindex queue:NAME POSITION`, the position that the evidence names.

## How to fix
Push by a client library, or write what it writes: class, args (a list), jid (24 hex digits), queue, retry, created_at,
enqueued_at.

Risk: none for what is pushed from now on.

Undo: nothing to undo.

## Unknown when
Payloads may not be read, or fewer than ten of a longer queue were.

## Source
Sidekiq's processor buries what it cannot parse (lib/sidekiq/processor.rb); its wiki's 8.0 upgrade notes for stamps.

- LEAST: payloads of a longer place that say something of it; the catalogue's.
"""

from collections import Counter
from collections.abc import Iterator

from packaging.version import Version

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Place, Sample, Samples, Stamps
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.versions import version_of

WINDOW = Threshold(
    name="window-s",
    default=900,
    unit="s",
    meaning="Within this time after the newest process of Sidekiq 8 has started, older ones are being replaced.",
    source="ours: a rolling deploy is given a quarter of an hour, as in PRO003",
)
LEAST = 10
SHOWN = 5
EIGHT = Version("8")


@check("QUE010", severity=Severity.HIGH, caused_by=("NSP004",), thresholds=(WINDOW,))
def payload_malformed(
    samples: Samples, fleet: Fleet | Missing, clock: ServerTime | Missing, thresholds: Thresholds
) -> Iterator[Verdict]:
    for place in samples.places:
        broken = [one for one in place.sample if one.flaws and not one.resque_shaped]
        if broken:
            yield _finding(place, broken)
        elif place.unread or (len(place.sample) < LEAST and not place.whole):
            why = place.unread or f"{len(place.sample)} of {place.size} were read"
            yield Unknown(f"payloads of {place.subject} were not looked at: {why}")
    if samples.partial:
        yield Unknown(f"not every queue was looked at: {samples.partial}", "a budget that reaches all queues")
    stamps = Counter(one.stamps for _, one in samples.all if one.stamps)
    if isinstance(fleet, Fleet) and stamps[Stamps.MILLISECONDS]:
        since = clock.now - thresholds[WINDOW] if isinstance(clock, ServerTime) else float("inf")
        yield from _mixed(samples, stamps, fleet, upgraded_since=since)
    yield Evidence("payloads", samples.text, "LRANGE, ZRANDMEMBER")
    yield Evidence("stamps", ", ".join(f"{kind} {count}" for kind, count in stamps.items()) or "none", "created_at")


def _finding(place: Place, broken: list[Sample]) -> Finding:
    kinds = Counter(one.flaws[0] for one in broken)
    flaw, _ = kinds.most_common(1)[0]
    evidence = [Evidence("broken", place.share(len(broken)).text, place.subject)]
    evidence += [Evidence(_where(one), one.outline, "; ".join(one.flaws)) for one in broken[:SHOWN]]
    dead, where = place.name == "dead", place.queue or place.name
    return Finding(
        place.subject,
        f"{counted(len(broken), f'sampled payload of {where} is', f'sampled payloads of {where} are')}"
        f" broken, most by this: {flaw}",
        "Look at the dead ones, then delete them." if dead else "Mend whoever pushes them, and move these to the dead.",
        tuple(evidence),
        Severity.HIGH.milder if dead else None,
        key="broken",
    )


def _where(one: Sample) -> str:
    return f"at {one.place}" if one.place is not None else "score" if one.score is None else f"score {one.score:.3f}"


def _mixed(samples: Samples, stamps: Counter[Stamps], fleet: Fleet, *, upgraded_since: float) -> Iterator[Verdict]:
    """Milliseconds in a queue that an older process takes; else both kinds while both versions run."""
    older = [one for one in fleet.live if _older(one)]
    newest = max((one.started_at or 0.0 for one in fleet.live if not _older(one)), default=0.0)
    severity = Severity.INFO if newest > upgraded_since else Severity.MEDIUM
    for place in samples.places:
        takers = [one.identity for one in older if place.queue and not one.quiet and place.queue in (one.queues or ())]
        count = sum(one.stamps is Stamps.MILLISECONDS for one in place.sample)
        if takers and count:
            evidence = (
                Evidence("integer milliseconds", place.share(count).text, "created_at, enqueued_at"),
                Evidence("taken by", ", ".join(takers[:SHOWN]), "up to Sidekiq 7, which reads seconds"),
            )
            title = f"{place.queue} holds stamps of Sidekiq 8, and is taken by a process that misreads them"
            remedy = "Upgrade that process, or push to queues that only 8 takes until it is."
            yield Finding(place.subject, title, remedy, evidence, severity, key="stamps")
            return
    if older and len(older) < len(fleet.live) and stamps[Stamps.SECONDS]:
        counts = ", ".join(f"{kind}: {count}" for kind, count in stamps.items())
        seen = Evidence("stamps", counts, samples.text)
        title = "Payloads of Sidekiq 8 and of older ones lie side by side, while both run"
        yield Finding("redis", title, "Finish the upgrade.", (seen,), Severity.INFO, key="stamps")


def _older(one: Process) -> bool:
    """Whether it is a Sidekiq up to 7: those before 7.0.2 say no version at all. Our own runtime reads both."""
    if one.runtime:
        return False
    version = version_of(one.version)
    return not one.version or (version is not None and version < EIGHT)
