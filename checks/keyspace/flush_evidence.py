"""Somebody flushed this Redis.

## Why it hurts
FLUSHALL and FLUSHDB delete every job that waits, is scheduled or is to be retried, without a trace in any log. One
script of a test suite or a deploy that runs against the wrong address is enough.

In the log: nothing; counters of the web UI begin at nought.

## How it is found
Formula: stat:processed fell since an earlier recording while run_id is the same (high); or cmdstat_flushall or
cmdstat_flushdb has calls > 0 since the server started (medium, info on a loopback address with a port or a database of
its own where no worker is alive); or a script of a deploy or of seeds flushes under no condition that keeps production
out (high), another script does (medium), or a task or the application's own code (low)

Redis counts the calls of each command since it started, or since `CONFIG RESETSTAT`. The processed counter only ever
rises; a server that restarted may have lost it otherwise.

## When it is wrong
Somebody who set the counters back (`Sidekiq::Stats.new.reset`). Servers that test suites flush, which
is what a loopback address with a port or database of its own is taken for, as long as no worker is alive there. A
flush of another database of the same server counts too. A script whose name says that it is for trials (`review`,
`staging`, `dev`, `teardown`) is info.

## Confirm by hand
`redis-cli info commandstats | grep flush`, `redis-cli get stat:processed`.

## How to fix
Find the script (`git grep -i flush`), delete by key there, and take the command away: `ACL SETUSER NAME -@dangerous`,
with a password (SEC001).

Risk: tools that need a command of that category are refused it.

Undo: `ACL SETUSER NAME +@dangerous`.

## Unknown when
The calls of commands are hidden, and no earlier recording tells of the counter (--baseline-run).

## Source
Redis: INFO commandstats; sidekiq#2901 and #2976.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

from kiqdoctor.doctor import (
    Earlier,
    Evidence,
    Finding,
    Location,
    Missing,
    NotApplicable,
    Refused,
    Severity,
    Unknown,
    Verdict,
    check,
)
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.config import ScriptLine, Scripts
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import JobCounts
from kiqdoctor.doctor.facts.redis import Connection, Server
from kiqdoctor.regex import regex

COMMANDS = ("flushall", "flushdb")
TRIAL = regex(
    r"(?<![a-z])(?:tests?|testing|pytest|dev|development|devcontainer|local|debug|ci|e2e|qa|review|sandbox|staging|demo"
    r"|benchmarks?|fixtures?|teardown|worktrees?|playground)(?![a-z])"
)
PLACES = {
    "deploy": (Severity.HIGH, "which deploys run"),
    "seed": (Severity.HIGH, "which seeds the database"),
    "script": (Severity.MEDIUM, "a script"),
    "task": (Severity.LOW, "a task that somebody runs by hand"),
    "code": (Severity.LOW, "the application's own code"),
}
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", None})
USUAL_PORT = frozenset({6379, None})
REMEDY = "Find what flushes, delete by key there, and take FLUSHALL and FLUSHDB from its user (-@dangerous)."


@check("NSP006", severity=Severity.HIGH)
def flush_evidence(
    server: Server | Missing,
    counts: JobCounts | Missing,
    before: Earlier[JobCounts] | Missing,
    server_before: Earlier[Server] | Missing,
    connection: Connection | Missing,
    fleet: Fleet | Missing,
    scripts: Scripts | Missing,
) -> Iterator[Verdict]:
    if isinstance(scripts, Scripts):
        yield from _in_files(scripts)
    if not isinstance(server, Server):
        if isinstance(server, Refused):
            yield Unknown(server.reason, server.unlock)
        elif not isinstance(scripts, Scripts):
            yield NotApplicable(server.reason)
        return
    fell = _fell(server, counts, before, server_before)
    if fell is not None:
        yield fell
    calls = {name: count for name in COMMANDS if (count := server.calls(name)) is not None}
    if not calls:
        if fell is None:
            yield Unknown("the server does not count calls of commands", "+info, or --baseline-run FILE")
        return
    seen = tuple(_seen(server, calls))
    if flushed := {name: count for name, count in calls.items() if count}:
        named = " and ".join(f"{name.upper()} {counted(count, 'time')}" for name, count in flushed.items())
        title = f"Since this Redis started somebody called {named}"
        severity = Severity.INFO if _dedicated(connection, fleet) else Severity.HIGH.milder
        yield Finding("redis", title, REMEDY, seen, severity, key="calls")
    yield from seen


def _in_files(scripts: Scripts) -> Iterator[Verdict]:
    flushes = [one for one in scripts.all if one.word in COMMANDS]
    for one in flushes:
        if guard := next((guard for guard in one.guards if _keeps_out(guard.lower())), ""):
            yield Evidence(one.word.upper(), f"only under: {guard}", f"{one.path}:{one.line}")
        elif one.place in PLACES:
            yield _line(one)
    yield Evidence("scripts that flush", str(len(flushes)), counted(scripts.files, "file"))


def _keeps_out(guard: str) -> bool:
    """Whether a condition keeps production out."""
    plain = guard.removeprefix("not ").lstrip("( ")
    negated = guard.startswith("not ") ^ plain.startswith("!") ^ ("!=" in plain or "&& !rails" in plain)
    return negated if "production" in guard else not negated and bool(TRIAL.search(guard.replace("_", " ")))


def _line(one: ScriptLine) -> Finding:
    severity, where = PLACES[one.place]
    if TRIAL.search(one.path.rpartition("/")[2].lower().replace("_", " ")):
        severity, where = Severity.INFO, "which is for trials by its name"
    return Finding(
        f"file:{one.path}",
        f"{one.path}, {where}, calls {one.word.upper()}: it deletes every job of whatever Redis it is pointed at",
        "Delete by key there, or keep production out by a condition.",
        (Evidence("call", one.word.upper(), f"{one.path}:{one.line}"),),
        severity,
        location=Location(one.path, one.line),
        key=one.word,
    )


def _fell(
    server: Server,
    counts: JobCounts | Missing,
    before: Earlier[JobCounts] | Missing,
    server_before: Earlier[Server] | Missing,
) -> Finding | Evidence | None:
    """What the counter tells; None where there are not two readings of it within one life of the server."""
    if not isinstance(counts, JobCounts) or not isinstance(before, Earlier) or not isinstance(server_before, Earlier):
        return None
    then, now = before.fact.processed, counts.processed
    if then is None or server.run is None or server.run != server_before.fact.run:
        return None
    told = Evidence("stat:processed", f"{then} in the earlier recording, {now or 0} now", "GET")
    if (now or 0) >= then:
        return told
    fell = f"stat:processed fell from {then} to {now or 0}, and Redis did not restart"
    title = f"{fell}: its data was deleted, or the counter set back"
    return Finding("redis", title, REMEDY, (told,), key="counter")


def _dedicated(connection: Connection | Missing, fleet: Fleet | Missing) -> bool:
    """As test suites use it: this host alone, not where everybody's Redis is, and nobody works there now."""
    if not isinstance(connection, Connection) or (isinstance(fleet, Fleet) and fleet.live):
        return False
    parts = urlsplit(connection.url)
    elsewhere = parts.port not in USUAL_PORT or parts.path.strip("/") not in {"", "0"}
    return parts.scheme != "unix" and parts.hostname in LOOPBACK and elsewhere


def _seen(server: Server, calls: dict[str, int]) -> Iterator[Evidence]:
    for name, count in calls.items():
        yield Evidence(name.upper(), counted(count, "call"), "INFO commandstats")
    since = server.info.get("uptime_in_seconds", "?")
    reset = server.calls("config|resetstat")
    yield Evidence("counted for", f"{since} s{', or less: the counts were reset' if reset else ''}", "INFO server")
