"""Workers are scaled to none while jobs wait in places that the autoscaler does not look at.

## Why it hurts
What is due in `schedule` and `retry` is moved to its queue by a worker. Where the last one is gone, nobody moves it: an
empty queue keeps the autoscaler at none, and the jobs wait until some other job happens to be enqueued.

In the log: nothing at all, for no worker runs.

## How it is found
Formula: fails if minimum = 0 and the keys that it follows are queues without both `schedule` and `retry`, and no other
worker runs whatever it decides

Read are KEDA's ScaledObjects and ScaledJobs and Kubernetes' own autoscalers whose target starts workers, or whose
triggers follow `queue:*`. Jobs are retried unless each says otherwise, so `retry` is used where Sidekiq is.

## When it is wrong
Another application's worker on the same Redis and namespace runs always.

## Confirm by hand
With no worker alive: `redis-cli zcount schedule -inf $(date +%s)` grows, `kubectl get deploy` stays at 0.

## How to fix
Follow `schedule` and `retry` too (KEDA's redis trigger counts sorted sets), or set the minimum to 1.

Risk: one worker more is paid for; a trigger on `schedule` counts what is due in a year as well.

Undo: the old minimum.

## Unknown when
It follows a source of another kind, of which no file says what it counts; a manifest cannot be parsed.

## Source
kedacore/keda issue 6719 and its redis scaler; lib/sidekiq/scheduled.rb.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.code import Code, Enqueues, When
from kiqdoctor.doctor.facts.config import Autoscalers, Scaler
from kiqdoctor.doctor.facts.packages import Packages

SETS = ("schedule", "retry")
CRONS = ("sidekiq-cron", "sidekiq-scheduler", "sidekiq-ent")
BUSY = {"cpu", "memory", "Resource"}


@check("CFG006", severity=Severity.HIGH)
def autoscaler_strands(
    scalers: Autoscalers, packages: Packages | Missing, code: Code | Missing, enqueues: Enqueues | Missing
) -> Iterator[Verdict]:
    for one in scalers.all:
        yield from _judged(one, _uses(packages, code, enqueues))
    for path, reason in scalers.unreadable:
        yield Unknown(f"{path}: {reason}; it may scale workers", "Helm's rendered output (`helm template`)")


def _judged(one: Scaler, uses: list[Evidence]) -> Iterator[Verdict]:
    where = f"{one.path}:{one.line}"
    missing = [name for name in SETS if not any(key.rpartition(":")[2] == name for key in one.lists)]
    if one.minimum > 0:
        yield Evidence(one.target, f"at least {one.minimum} run", where)
    elif one.steady:
        yield Evidence(one.target, f"another worker runs always: {one.steady}", where)
    elif not missing:
        yield Evidence(one.target, "it follows schedule and retry too", where)
    elif one.others and set(one.others) - BUSY - {"cron"}:
        yield Unknown(f"{where}: what its trigger {one.others[0]} counts is in no file")
    else:
        yield _finding(one, missing, uses)


def _uses(packages: Packages | Missing, code: Code | Missing, enqueues: Enqueues | Missing) -> list[Evidence]:
    """How the application comes to need those sets."""
    found = [Evidence("jobs are retried", "by default, through `retry`", "lib/sidekiq/job_retry.rb")]
    if isinstance(packages, Packages):
        crons = [one for one in packages.all if one.name in CRONS]
        found += [Evidence("enqueues by the clock", f"{one.name} {one.version}", one.source) for one in crons]
    if isinstance(code, Code) and isinstance(enqueues, Enqueues):
        later = [one for one in enqueues.sites if one.when is When.LATER][:3]
        places = [(one, code.place(one)) for one in later]
        found += [Evidence("enqueued for later", f"{one.job}.{one.verb}", f"{at.path}:{at.line}") for one, at in places]
    return found


def _finding(one: Scaler, missing: list[str], uses: list[Evidence]) -> Finding:
    follows = ", ".join((*one.lists, *one.others)) or "nothing that is named"
    return Finding(
        f"file:{one.path}",
        f"{one.target} is scaled to none while {' and '.join(missing)} may hold jobs: nobody looks there",
        f"Follow {' and '.join(missing)} too, or set the minimum to 1.",
        (Evidence("follows", follows, f"{one.path}:{one.line}"), Evidence("minimum", "0"), *uses),
        location=Location(one.path, one.line),
        key=one.target,
    )
