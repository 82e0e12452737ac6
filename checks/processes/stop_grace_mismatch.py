"""A worker is killed before its jobs have ended, or before it gave them back.

## Why it hurts
After TERM a worker waits for its jobs, then hands back what still runs. Killed before that it hands back nothing: with
basic fetch those jobs are gone, at every deploy.

In the log: `Shutting down`, and no `Bye!` after it.

## How it is found
Formula: fails if grace < timeout + BACK, or before + timeout + BACK > grace; medium where a shell that was not replaced
is the first process

`timeout` is what the worker was told (`-t`, `:timeout:`), else its default: 8 s up to Sidekiq 5, 25 s from 6 on and in
kiqdoctor's runtime. `grace` is what the platform gives from TERM to KILL, and its default where no file says it:
compose and supervisord 10 s, Kubernetes, Heroku, Render, ECS and Kamal 30 s, systemd 90 s, Fly 5 s. `before` is what a
preStop hook sleeps first. A signal that gives no jobs back, systemd's `KillMode=none`, and `KillMode=process` where
the process is a shell, are told too.

## When it is wrong
Somebody gives another time by hand (`docker stop -t`). How somebody develops, with the source mounted, is low.

## Confirm by hand
Stop one worker as a deploy does, with a job that runs longer than `timeout`, and look for `Bye!` in its log.

## How to fix
Give it a grace of the worker's timeout and five seconds more, after the hook's time; start it by `exec`.

Risk: a deploy takes that much longer.

Undo: the old number.

## Unknown when
A grace period is set by what is not in the file (a template, a variable without a default).
Nobody says on what platform it runs, and its timeout is longer than the shortest grace that is usual.

## Source
Sidekiq's changes at 6.0 (25 s within 30 s); docs.docker.com (10 s), kubernetes.io (30 s), systemd.service and
systemd.kill, devcenter.heroku.com (30 s), fly.io/docs (5 s), render.com/docs (30 s); Kamal 2's
drain_timeout, which a role without its proxy is stopped with.

- USUAL: seconds that most platforms give; a worker that waits longer may be killed on any of them.
- DAY: seconds, from which on a grace is no limit.
- BACK: seconds that a worker takes to give its jobs back and to end.
- ROOM: seconds that the remedy leaves.
"""

from collections.abc import Iterator

from packaging.version import Version

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.config import Stop, Stops
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.versions import version_of

BACK = 3.0
ROOM = 5.0
USUAL = 30.0
DAY = 86_400.0
DEFAULTS = {
    "compose": 10.0, "kubernetes": 30.0, "systemd": 90.0, "heroku": 30.0, "fly": 5.0, "render": 30.0, "ecs": 30.0,
    "supervisord": 10.0, "kamal": 30.0,
}  # fmt: skip
NAMES = {
    "compose": "stop_grace_period", "kubernetes": "terminationGracePeriodSeconds", "systemd": "TimeoutStopSec",
    "fly": "kill_timeout", "ecs": "stopTimeout", "render": "maxShutdownDelaySeconds",
    "supervisord": "stopwaitsecs", "kamal": "drain_timeout",
}  # fmt: skip
GRACEFUL = {"", "TERM", "INT", "SIGTERM", "SIGINT", "15", "2"}
CONTAINERS = {"compose", "docker", "kubernetes", "ecs"}


@check("PRO010", severity=Severity.HIGH)
def stop_grace_mismatch(stops: Stops, packages: Packages | Missing) -> Iterator[Verdict]:
    for one in stops.all:
        timeout, said = _timeout(one, packages)
        if timeout is None:
            yield Unknown(f"{one.path} does not say its timeout, and Sidekiq's version is not known", "a lock file")
            continue
        yield from _judged(one, timeout, said)
    for path, reason in stops.unreadable:
        yield Unknown(f"{path}: {reason}; it may start workers")


def _timeout(one: Stop, packages: Packages | Missing) -> tuple[float | None, str]:
    if one.timeout_s is not None:
        return one.timeout_s, one.timeout_at
    if one.timeout_at:
        return None, one.timeout_at
    if one.program == "kiqdoctor":
        return 25.0, "the default of kiqdoctor work"
    text = packages.version_of("ruby", "sidekiq") if isinstance(packages, Packages) else ""
    version = version_of(text)
    if version is None:
        return None, ""
    return (8.0 if version < Version("6") else 25.0), f"the default of Sidekiq {text}"


def _judged(one: Stop, timeout: float, said: str) -> Iterator[Verdict]:
    grace = one.grace_s if one.grace_s is not None else DEFAULTS.get(one.platform)
    if one.signal not in GRACEFUL:
        yield _signalled(one)
    elif one.mode == "none" or (one.mode == "process" and one.shell):
        yield _moded(one)
    elif one.untold:
        what = f"{NAMES.get(one.platform, 'the grace period')} is set by what is not in the file"
        yield Unknown(f"{one.grace_path}:{one.grace_line}: {what}", "Helm's rendered output (`helm template`)")
    elif grace is not None and grace < one.before_s + timeout + BACK:
        yield _short(one, timeout, said, grace)
    elif one.shell and one.platform in CONTAINERS:
        yield _in_shell(one)
    elif grace is None and timeout > USUAL - BACK:
        yield Unknown(f"{one.path}: it waits {timeout:g} s for its jobs; what its platform gives is not in the files")
    else:
        told = "what no file says" if grace is None else "no end" if grace > DAY else f"{grace:g} s"
        yield Evidence(f"{one.path}:{one.line}", f"waits {timeout:g} s for its jobs, and is given {told}", said)


def _short(one: Stop, timeout: float, said: str, grace: float) -> Finding:
    name = NAMES.get(one.platform, "the grace period")
    need = one.before_s + timeout + ROOM
    origin = f"{one.grace_path}:{one.grace_line}" if one.grace_s is not None else f"the default of {one.platform}"
    hook = f", after {one.before_s:g} s of its preStop hook" if one.before_s else ""
    evidence = [Evidence("timeout", f"{timeout:g} s", said), Evidence("grace", f"{grace:g} s", origin)]
    if one.before_s:
        evidence.append(Evidence("preStop", f"{one.before_s:g} s", one.grace_path))
    advice = f"Set {name} to {need:g} s" if one.platform != "heroku" else "The platform gives no more"
    lower = max(0.0, grace - one.before_s - ROOM)
    return _finding(
        one,
        f"{one.program} waits {timeout:g} s for its jobs{hook}, and {one.platform} kills it after {grace:g} s",
        f"{advice}, or the worker's timeout to {lower:g} s.",
        evidence,
        "grace",
    )


def _signalled(one: Stop) -> Finding:
    what = f"{one.program} is ended by {one.signal}, at which it gives no job back"
    return _finding(one, what, "End it by TERM.", [Evidence("signal", one.signal, one.grace_path)], "signal")


def _moded(one: Stop) -> Finding:
    what = f"systemd ends {one.program} with KillMode={one.mode}, which sends it no signal"
    fix = "Write KillMode=mixed, or leave the line out."
    return _finding(one, what, fix, [Evidence("KillMode", one.mode, one.grace_path)], "mode", Severity.MEDIUM)


def _in_shell(one: Stop) -> Finding:
    what = f"A shell is the first process before {one.program}: TERM may reach the shell alone"
    evidence = [Evidence("command", "a shell's line without exec", f"{one.path}:{one.line}")]
    return _finding(
        one, what, "Begin the line with exec, or run it without a shell.", evidence, "shell", Severity.MEDIUM
    )


def _finding(
    one: Stop, title: str, fix: str, evidence: list[Evidence], key: str, severity: Severity = Severity.HIGH
) -> Finding:
    if one.trial:
        evidence.append(Evidence("how somebody develops", one.trial, one.path))
    return Finding(
        f"file:{one.path}",
        title,
        fix,
        tuple(evidence),
        Severity.LOW if one.trial else severity,
        location=Location(one.path, one.line),
        key=key,
    )
