"""The web UI shows another Redis than the one that is examined.

## Why it hurts
Whoever looks at it sees a calm or an ill system that is not his: queues look empty while jobs pile up elsewhere, and
its buttons act on the wrong jobs.

In the log: nothing.

## How it is found
Formula: fails if in each of three rounds processed or failed of the UI's /stats lies outside what Redis said just
before and just after, or if it names another redis_version

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

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.facts.web import WebCounts

REMEDY = "Give the UI's process the same URL, database and namespace as workers and clients."


@check("WEB004", severity=Severity.HIGH)
def ui_wrong_redis(counts: WebCounts, server: Server | Missing) -> Iterator[Verdict]:
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
