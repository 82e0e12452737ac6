"""A deploy changed the arguments of a job whose older payloads still live.

## Why it hurts
Jobs that were pushed before the deploy have the old arguments, and the new code refuses them, each for three weeks of
retries; while the deploy lasts, old workers refuse new ones as well.

In the log: `wrong number of arguments`, `unknown keyword`, `got an unexpected keyword argument`, from the deploy on.

## How it is found
Formula: fails if sampled jobs of a class in retry or dead failed with an error of arity or keywords, first after a
deploy, and were created before it; or were created after it while a process from before it is alive

Deploys are Sidekiq's marks (`YYYYMMDD-marks`), and the first start of each release that kiqdoctor's runtime tells.

## When it is wrong
The same error from within a job's own code, which came with the deploy all the same.

## Confirm by hand
`redis-cli zrandmember retry 20`: `error_message`, `created_at`, `failed_at`; `redis-cli hgetall DAY-marks`.

## How to fix
Take the old shape too (defaults for new arguments, `**rest`), for as long as such jobs live: schedule, and 21 days of
retries. Then try the failed ones again.

Risk: none.

Undo: the new signature alone, when the old jobs are gone.

## Unknown when
Such errors are there, and no deploy is known: nobody marks them, and no process tells its release; the payloads may not
be read.

## Source
docs.gitlab.com, Sidekiq compatibility across updates.

- NEAR: seconds by which a mark may precede its deploy, since it is cut to the minute.
"""

import re
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Marks, Sample, Samples

ARITY = re.compile(
    r"wrong number of arguments|(?:unknown|missing|unexpected) keywords?\b|required keywords?\b"
    r"|takes (?:from )?\d+ (?:to \d+ )?positional argument|missing \d+ required (?:positional|keyword-only) argument"
    r"|unexpected keyword argument|multiple values for argument|too many positional arguments"
    r"|missing a required (?:keyword-only )?argument"
)
NEAR = 60.0
SHOWN = 5


@check("QUE021", severity=Severity.HIGH, caused_by=("PRO003",))
def deploy_broke_arguments(samples: Samples, fleet: Fleet, marks: Marks | Missing) -> Iterator[Verdict]:
    failing: dict[str, list[Sample]] = {}
    for place, one in samples.all:
        if not place.queue and one.failed_at is not None and ARITY.search(one.message):
            failing.setdefault(one.job_class, []).append(one)
    deploys = sorted([*(marks.all if isinstance(marks, Marks) else ()), *_releases(fleet)])
    if failing and not deploys:
        names = ", ".join(sorted(failing)[:SHOWN])
        why = f"; {marks.reason}" if not isinstance(marks, Marks) else ""
        unlock = "Sidekiq::Deploy.mark! at each deploy"
        yield Unknown(f"jobs of {names} fail for their arguments, and no deploy is known{why}", unlock)
    for name, found in sorted(failing.items()):
        yield from _judged(name, found, deploys, fleet)
    if samples.unread:
        yield Unknown(f"not every payload was looked at: {samples.unread}", "a budget that reaches all of them")
    yield Evidence("jobs that fail for their arguments", str(sum(map(len, failing.values()))), samples.text)
    yield Evidence("deploys that are known", str(len(deploys)), "marks, releases of the fleet")


def _releases(fleet: Fleet) -> list[tuple[float, str]]:
    """When each release that a process tells was first started; one alone may be older than whatever failed."""
    first: dict[str, float] = {}
    for one in fleet.live:
        if one.deploy and one.started_at is not None:
            first[one.deploy] = min(first.get(one.deploy, one.started_at), one.started_at)
    return [(at, release) for release, at in first.items()]


def _judged(name: str, found: list[Sample], deploys: list[tuple[float, str]], fleet: Fleet) -> Iterator[Finding]:
    since = min(one.failed_at for one in found if one.failed_at is not None)
    before = [one for one in deploys if one[0] <= since + NEAR]
    if not before:
        return  # these errors are older than every deploy that is known
    at, label = before[-1]
    old = [one for one in found if one.created_at is not None and one.created_at < at]
    new = [one for one in found if one.created_at is not None and one.created_at >= at]
    leftover = [one.identity for one in fleet.live if one.started_at is not None and one.started_at < at - NEAR]
    if not old and not (new and leftover):
        return
    how = "created before it" if old else "created after it, while older processes run"
    evidence = (
        Evidence("error", found[0].error_class, found[0].message),
        Evidence("first seen", f"{since - at:.0f} s after the deploy", "failed_at"),
        Evidence(how, f"{len(old or new)} of {len(found)} sampled", ", ".join(o.jid for o in (old or new)[:SHOWN])),
        Evidence("deploy", label or "without a label", "marks, or a release of the fleet"),
        *([Evidence("older processes", ", ".join(leftover[:SHOWN]), "started_at")] if not old else []),
    )
    title = f"Since a deploy jobs of {name} fail for their arguments: {len(old or new)} sampled ones were {how}"
    remedy = f"Let {name} take the old arguments too, until such jobs are gone (21 days of retries)."
    yield Finding(f"job:{name}", title, remedy, evidence)
