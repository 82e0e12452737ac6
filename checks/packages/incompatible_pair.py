"""Two libraries are locked that do not work together at these versions.

## Why it hurts
The worker does not start, or starts and fails at its first command. What resolves is not what works: old releases did
not know of limits that they would have needed.

In the log: `Your Redis configuration uses the namespace 'x' but this feature is no longer supported`, `wrong
number of arguments` from connection_pool, `unknown keyword`.

## How it is found
Formula: fails if Sidekiq >= 7 and a namespace is configured; or connection_pool >= 3 and Sidekiq < 7.3.10, or 8 below
8.0.10; or Sidekiq >= 7 and `protocol: 2`; or Sidekiq 6.5 and redis >= 5; or Sidekiq >= 8 and Rails < 7; or redis-py
>= 8 and more than MOST threads share one pool of its default size

redis-namespace that is only locked, for the application's own keys, is no finding.

## When it is wrong
A release that was patched by hand.

## Confirm by hand
`bundle exec sidekiq` in a console: it says so at once.

## How to fix
Take the version that the finding names.

Risk: a major version changes more; its upgrade notes say what.

Undo: the old line of the lock file.

## Unknown when
One of the two is locked to a commit or without a version.

## Source
Sidekiq's changes at 7.0, 7.3.10, 8.0, 8.0.10 and 8.1.0; redis-py 8.0.0 (its pool's default of 100 connections).

- MOST: connections of redis-py's pool from 8.0.0 on, where nobody says it.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check, covers
from kiqdoctor.doctor.facts.code import Calls
from kiqdoctor.doctor.facts.deployment import Deployment
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.settings import RedisSettings

MOST = 100
PAIRS = (
    ("<7.3.10", "connection_pool", ">=3", "connection_pool 3 takes its options another way", "sidekiq 7.3.10"),
    (">=8,<8.0.10", "connection_pool", ">=3", "connection_pool 3 takes its options another way", "sidekiq 8.0.10"),
    (">=6.5,<7", "redis", ">=5", "Sidekiq 6.5 knows redis up to 4", "sidekiq 7, or redis 4"),
    (">=8", "rails", "<7", "Sidekiq 8 needs Rails 7", "rails 7, or sidekiq 7"),
    (">=8", "railties", "<7", "Sidekiq 8 needs Rails 7", "rails 7, or sidekiq 7"),
)
CLIENTS = ("redis.Redis", "redis.StrictRedis", "redis.from_url", "redis.Redis.from_url")


@check("PKG004", severity=Severity.HIGH)
def incompatible_pair(
    packages: Packages,
    settings: RedisSettings | Missing,
    deployment: Deployment | Missing,
    calls: Calls | Missing,
) -> Iterator[Verdict]:
    for sidekiq in packages.find("ruby", "sidekiq")[:1]:
        if not sidekiq.version or sidekiq.origin == "git":
            yield Unknown("sidekiq is locked to a commit: what it holds, no version says", "a released version")
            continue
        yield from _beside(sidekiq, packages)
        if covers(">=7", sidekiq.version) and isinstance(settings, RedisSettings):
            yield from _configured(sidekiq, settings)
    for client in packages.find("python", "redis")[:1]:
        yield from _shared(client, deployment, calls)
    for path, reason in packages.unreadable:
        yield Unknown(f"{path}: {reason}")
    yield Evidence("packages", str(len(packages.all)), ", ".join(packages.sources))


def _beside(sidekiq: Package, packages: Packages) -> Iterator[Verdict]:
    told: set[str] = set()
    for mine, name, theirs, what, fix in PAIRS:
        for other in packages.find("ruby", name)[:1]:
            if not covers(mine, sidekiq.version):
                continue
            holds = covers(theirs, other.version)
            if holds is None:
                yield Unknown(f"{name} is locked without a version that can be compared")
            elif holds and what not in told:
                told.add(what)
                yield _finding(sidekiq, other, what, fix)


def _finding(sidekiq: Package, other: Package, what: str, fix: str) -> Finding:
    return Finding(
        f"package:{other.name}",
        f"sidekiq {sidekiq.version} does not work with {other.name} {other.version}: {what}",
        f"Lock {fix} or later.",
        (
            Evidence("locked", f"sidekiq {sidekiq.version}", f"{sidekiq.source}:{sidekiq.line}"),
            Evidence("locked", f"{other.name} {other.version}", f"{other.source}:{other.line}"),
        ),
        location=Location(other.source, other.line),
        key="pair",
    )


def _configured(sidekiq: Package, settings: RedisSettings) -> Iterator[Verdict]:
    for one in settings.all:
        if one.language != "ruby":
            continue
        what = "a namespace" if one.namespace else "protocol: 2" if one.protocol == "2" else ""
        if what:
            fix = "Use a database of its own in place of the namespace." if one.namespace else "Take protocol: 2 out."
            yield Finding(
                f"file:{one.path}",
                f"{one.path} configures {what}, which Sidekiq {sidekiq.version} refuses",
                fix,
                (Evidence(one.role, what, f"{one.path}:{one.line}"),),
                location=Location(one.path, one.line, one.column),
                key=f"{one.role}:{what.partition(':')[0]}",
            )
            return


def _shared(client: Package, deployment: Deployment | Missing, calls: Calls | Missing) -> Iterator[Verdict]:
    """More threads than redis-py's own pool has connections, where nobody gives it another size."""
    if not covers(">=8", client.version) or not isinstance(deployment, Deployment) or not isinstance(calls, Calls):
        return
    built = [one for one in calls.sites if one.name in CLIENTS]
    sized = [
        one for one in built if any(word.name in {"max_connections", "connection_pool", "**"} for word in one.arguments)
    ]
    crowded = [one for one in deployment.workers if one.language == "python" and (one.concurrency or 0) > MOST]
    if built and not sized and crowded:
        worker = crowded[0]
        yield Finding(
            "package:redis",
            f"{worker.concurrency} threads share redis-py {client.version}'s pool of {MOST} connections",
            f"Give the client max_connections={worker.concurrency}, or a BlockingConnectionPool.",
            (Evidence("threads", str(worker.concurrency), f"{worker.path}:{worker.line}"),),
            location=Location(worker.path, worker.line),
            key="pool",
        )
