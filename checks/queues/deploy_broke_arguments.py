"""A deploy changed the arguments of a job whose older payloads still live, or would.

## Why it hurts
Jobs that were pushed before the deploy have the old arguments, and the new code refuses them, each for three weeks of
retries; while the deploy lasts, old workers refuse new ones as well.

In the log: `wrong number of arguments`, `unknown keyword`, `got an unexpected keyword argument`, from the deploy on.

## How it is found
Formula: fails if sampled jobs of a class in retry or dead failed with the same error of arity or keywords, first after
a deploy, and were created before it; or were created after it while a process from before it is alive; or if a job that
waits (queues, schedule, retry) carries arguments that the source under PATH does not take

The last needs an application: `kiqdoctor check --replay RECORDING PATH` tells of a production's recording and a pull
request's tree which waiting jobs the change would break. Only numbers and names of arguments are compared, no values.

Deploys are Sidekiq's marks (`YYYYMMDD-marks`), and the first start of each release that kiqdoctor's runtime tells.

## When it is wrong
The same error from within a job's own code, which came with the deploy all the same; a middleware that changes a job's
arguments before it runs.

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
from itertools import islice

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Refused, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Code, Signature, Signatures
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Marks, Sample, Samples
from kiqdoctor.regex import regex

ARITY = regex(
    r"wrong number of arguments|(?:unknown|missing|unexpected) keywords?\b|required keywords?\b"
    r"|takes (?:from )?\d+ (?:to \d+ )?positional argument|missing \d+ required (?:positional|keyword-only) argument"
    r"|unexpected keyword argument|multiple values for argument|too many positional arguments"
    r"|missing a required (?:keyword-only )?argument"
)
NEAR = 60.0
DEAD = "dead"
SHOWN = 5


@check("QUE021", severity=Severity.HIGH, caused_by=("PRO003",))
def deploy_broke_arguments(
    samples: Samples,
    fleet: Fleet,
    marks: Marks | Missing,
    code: Code | Missing,
    signatures: Signatures | Missing,
) -> Iterator[Verdict]:
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
    if isinstance(code, Code) and isinstance(signatures, Signatures):
        yield from _waiting(samples, code, signatures)
    elif isinstance(refused := next((one for one in (code, signatures) if isinstance(one, Refused)), None), Refused):
        yield Unknown(refused.reason, refused.unlock)
    if samples.unread:
        yield Unknown(f"not every payload was looked at: {samples.unread}", "a budget that reaches all of them")
    yield Evidence("jobs that fail for their arguments", str(sum(map(len, failing.values()))), samples.text)
    yield Evidence("deploys that are known", str(len(deploys)), "marks, releases of the fleet")


def _waiting(samples: Samples, code: Code, signatures: Signatures) -> Iterator[Verdict]:
    """Jobs that will run, and the source that would run them."""
    compared: set[str] = set()
    broken: dict[tuple[str, str], list[tuple[str, Sample]]] = {}
    for place, one in samples.all:
        signature = _of(one.job_class, signatures) if one.given is not None and place.name != DEAD else None
        if signature is not None and one.given is not None:
            compared.add(one.job_class)
            if why := signature.refusal(one.given, one.named):
                broken.setdefault((one.job_class, why), []).append((place.subject, one))
    for (name, why), found in sorted(broken.items()):
        signature = _of(name, signatures)
        assert signature is not None  # noqa: S101 - it refused them
        at = code.place(signature)
        where = ", ".join(dict.fromkeys(place for place, _ in found))
        yield Finding(
            f"job:{name}",
            f"{counted(len(found), f'sampled job of {name} that waits does', f'sampled jobs of {name} that wait do')}"
            f" not fit the source: {why}",
            f"Let {name} take what waits, too (defaults for new arguments), until such jobs are gone.",
            (
                Evidence("waiting", f"{len(found)} sampled", f"{where}: {', '.join(o.jid for _, o in found[:SHOWN])}"),
                Evidence("source", why, f"{at.path}:{at.line}"),
            ),
            location=Location(at.path, at.line, at.column),
            key=f"source:{re.sub('[0-9]+', '', why)}",
        )
    if compared:
        yield Evidence("classes whose waiting jobs fit the source, or do not", str(len(compared)), "source code")


def _of(name: str, signatures: Signatures) -> Signature | None:
    """The one job of this name; a Python module may be called by a longer or shorter path."""
    exact = [one for one in signatures.sites if name in one.names]
    found = exact or [one for one in signatures.sites if any(_ends(name, other) for other in one.names)]
    return found[0] if len(found) == 1 else None


def _ends(name: str, other: str) -> bool:
    return "." in name and "." in other and (name.endswith(f".{other}") or other.endswith(f".{name}"))


def _releases(fleet: Fleet) -> list[tuple[float, str]]:
    """When each release that a process tells was first started; one alone may be older than whatever failed."""
    first: dict[str, float] = {}
    for one in fleet.live:
        if one.deploy and one.started_at is not None:
            first[one.deploy] = min(first.get(one.deploy, one.started_at), one.started_at)
    return [(at, release) for release, at in first.items()]


def _judged(name: str, found: list[Sample], deploys: list[tuple[float, str]], fleet: Fleet) -> Iterator[Finding]:
    """The first kind of error that came with a deploy: another that the class had before says nothing of it."""
    kinds: dict[str, list[Sample]] = {}
    for one in found:
        kinds.setdefault(one.message, []).append(one)
    yield from islice((told for kind in kinds.values() for told in _since(name, kind, deploys, fleet)), 1)


def _since(name: str, found: list[Sample], deploys: list[tuple[float, str]], fleet: Fleet) -> Iterator[Finding]:
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
