"""REDIS_PROVIDER says what it cannot mean: an address, or a variable that is not there.

## Why it hurts
Sidekiq reads the *name* of a variable from REDIS_PROVIDER. An address there keeps it from starting. A name that nothing
sets is passed over without a word: workers and clients go to REDIS_URL or to localhost, and jobs with them.

In the log: `REDIS_PROVIDER should be set to the name of the variable which contains the Redis URL, not a URL itself`;
for a name that nothing sets no line.

## How it is found
Formula: fails if REDIS_PROVIDER holds a colon; medium if it names a variable that its closed scope does not set, or if
that variable and REDIS_URL hold different addresses

Scopes are .env files, app.json, and the environments of compose services, Kubernetes containers, systemd units, Render
and Fly. A scope is closed where it takes no further file, ConfigMap or secret as a whole.

## When it is wrong
The image itself sets the variable.

## Confirm by hand
In the worker's environment: `echo "$REDIS_PROVIDER"`, then `printenv` with that name.

## How to fix
Write the name of the variable that holds the address: `REDIS_PROVIDER=REDISCLOUD_URL`.

Risk: workers and clients go to another Redis at their next start; what waits in the old one stays there.

Undo: the old value.

## Unknown when
The variable that it names may come from a secret store or from a file that is not here.

## Source
lib/sidekiq/redis_connection.rb (determine_redis_provider).
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.config import Scope, Variables


@check("NSP003", severity=Severity.HIGH)
def redis_provider_misuse(variables: Variables) -> Iterator[Verdict]:
    for one in variables.all:
        where = f"{one.path}{f', {one.unit}' if one.unit else ''}"
        if one.is_url:
            title = f"{where}: REDIS_PROVIDER holds an address, where the name of a variable belongs"
            fix = "Put the address into REDIS_URL, or name the variable that holds it."
            yield _finding(one, title, fix, "address", Severity.HIGH)
        elif one.provider and one.provider not in one.names:
            yield _unset(one, where)
        elif one.differs:
            title = f"{where}: {one.provider}, which REDIS_PROVIDER names, and REDIS_URL hold different addresses"
            fix = f"Take out REDIS_URL, or REDIS_PROVIDER: Sidekiq follows {one.provider}."
            yield _finding(one, title, fix, "differ", Severity.MEDIUM)
    for path, reason in variables.unreadable:
        yield Unknown(f"{path}: {reason}")
    yield Evidence("scopes that set REDIS_PROVIDER", str(len(variables.all)), f"{variables.scopes} scopes")


def _unset(one: Scope, where: str) -> Verdict:
    if not one.closed:
        return Unknown(
            f"{where}: REDIS_PROVIDER names {one.provider}, which is not set there; it may come from elsewhere"
        )
    instead = "REDIS_URL" if "REDIS_URL" in one.names else "localhost"
    title = f"{where}: REDIS_PROVIDER names {one.provider}, which nothing sets; Sidekiq goes to {instead}"
    return _finding(one, title, f"Set {one.provider}, or name the variable that holds it.", "unset", Severity.MEDIUM)


def _finding(one: Scope, title: str, fix: str, key: str, severity: Severity) -> Finding:
    return Finding(
        f"file:{one.path}",
        title,
        fix,
        (Evidence("variables there", ", ".join(sorted(one.names)[:20]) or "none", f"{one.path}:{one.line or 1}"),),
        severity,
        location=Location(one.path, one.line or 1),
        key=f"{one.unit}:{key}".strip(":"),
    )
