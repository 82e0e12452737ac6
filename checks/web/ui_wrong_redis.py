"""The web UI shows another Redis than the one that is examined.

## Why it hurts
Whoever looks at it sees a calm or an ill system that is not his: queues look empty while jobs pile up elsewhere, and
its buttons act on the wrong jobs.

In the log: nothing.

## How it is found
Formula: fails if in each of three rounds processed or failed of the UI's /stats lies outside what Redis said just
before and just after, or if it names another redis_version; or if the file that mounts the UI (config.ru) configures
another address, database or namespace for itself than the one that workers are configured with (high where both are
literal, else medium)

Both counters only rise, so an answer of the same Redis lies between the two looks.

## When it is wrong
A UI for another shard or namespace on purpose: examine that one (--redis, --namespace).

## Confirm by hand
`curl URL/stats`, and `redis-cli get stat:processed` at the same moment.

## How to fix
Give the UI's process the same URL, database number and namespace as workers and clients.

Risk: none; its history is kept in Redis.

Undo: the old URL.

## Unknown when
The UI asks for credentials that were not given; its /stats is not readable; both sides have counted nothing yet.

## Source
lib/sidekiq/web/application.rb, `/stats`; lib/sidekiq/api.rb, Stats.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings
from kiqdoctor.doctor.facts.web import WebCounts, WebFiles
from kiqdoctor.doctor.halves import beside, unseen

REMEDY = "Give the UI's process the same URL, database and namespace as workers and clients."


@check("WEB004", severity=Severity.HIGH)
def ui_wrong_redis(
    counts: WebCounts | Missing,
    server: Server | Missing,
    files: WebFiles | Missing,
    settings: RedisSettings | Missing,
) -> Iterator[Verdict]:
    judged = isinstance(files, WebFiles) and isinstance(settings, RedisSettings)
    if isinstance(files, WebFiles) and isinstance(settings, RedisSettings):
        yield from beside(_configured(files, settings), counts)
    if isinstance(counts, WebCounts):
        yield from _counted(counts, server)
    else:
        yield from unseen(counts, judged=judged)


def _configured(files: WebFiles, settings: RedisSettings) -> Iterator[Verdict]:
    """What the UI's own file says of Redis, and what workers are told."""
    places = {one.path for one in files.mounts if one.rack}
    own = [one for one in settings.all if one.path in places and one.role == "client"]
    workers = [one for one in settings.all if one.path not in places and one.role == "server"]
    if not own or not workers:
        yield NotApplicable("no file configures the web UI's Redis apart from the workers'")
        return
    for one in (*own, *workers):
        if one.unresolved:
            yield Unknown(
                f"{one.path}:{one.line}: {one.unresolved}", "a literal, a constant or one environment variable"
            )
    for one in own:
        other = next((worker for worker in workers if not _same(one, worker)), None)
        if other is not None and not one.unresolved and not other.unresolved:
            yield _apart(one, other)
        yield Evidence("the UI's own", _spelt(one), f"{one.path}:{one.line}")


def _places(one: RedisSetting) -> tuple[str, str, str]:
    return one.url or "", one.database or "", one.namespace or ""


def _same(one: RedisSetting, other: RedisSetting) -> bool:
    return _places(one) == _places(other)


def _spelt(one: RedisSetting) -> str:
    return ", ".join(part for part in _places(one) if part) or "the default address"


def _apart(one: RedisSetting, other: RedisSetting) -> Finding:
    literal = not any(word in part for part in (*_places(one), *_places(other)) for word in ("ENV[", "constant "))
    return Finding(
        f"file:{one.path}",
        "The web UI is configured with another Redis than the workers",
        REMEDY,
        (
            Evidence("the UI", _spelt(one), f"{one.path}:{one.line}"),
            Evidence("workers", _spelt(other), f"{other.path}:{other.line}"),
        ),
        Severity.HIGH if literal else Severity.MEDIUM,
        location=Location(one.path, one.line, one.column),
        key="configured",
    )


def _counted(counts: WebCounts, server: Server | Missing) -> Iterator[Verdict]:
    seen = tuple(_seen(counts, server))
    versions = (counts.redis_version, server.info.get("redis_version", "") if isinstance(server, Server) else "")
    apart = all(any(not one.fits for one in turn) for turn in counts.rounds)
    nothing = not any(one.shown or one.after for turn in counts.rounds for one in turn)
    if all(versions) and versions[0] != versions[1]:
        title = f"The web UI reads a Redis {versions[0]}, and the examined one is {versions[1]}"
        yield Finding("web", title, REMEDY, seen, key="version")
    elif counts.rounds and apart:
        worst = next(one for one in counts.rounds[-1] if not one.fits)
        title = f"The web UI says {worst.shown} {worst.name}, and Redis {worst.after}: it reads another one"
        yield Finding("web", title, REMEDY, seen, key="counters")
    elif nothing or not counts.rounds:
        yield Unknown("both have counted nothing yet, which any two Redis have in common", "a job that has run")
    yield from seen


def _seen(counts: WebCounts, server: Server | Missing) -> Iterator[Evidence]:
    for one in counts.rounds[-1] if counts.rounds else ():
        yield Evidence(one.name, f"{one.shown} in the UI, {one.before} to {one.after} in Redis", f"{counts.url}, GET")
    here = server.info.get("redis_version", "?") if isinstance(server, Server) else "?"
    yield Evidence("redis_version", f"{counts.redis_version or '?'} in the UI, {here} here", "/stats, INFO")
