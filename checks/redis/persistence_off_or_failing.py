"""Redis does not save, or cannot.

## Why it hurts
What Redis does not save is gone with its process: all queues, all retries, the whole schedule. Where it tries to save
and cannot, it refuses every write (`MISCONF`), BRPOP among them, so that workers stop too.

In the log: `MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk` from
workers and web processes; in Redis' own `Can't save in background` or `Background saving error`.

## How it is found
Formula: fails if rdb_last_bgsave_status or aof_last_write_status != ok, or if MISCONF errors rose (high); or if the
AOF is off and `save` is empty and there is no replica (medium)

A save that failed is INFO's own word. Errors rise when `errorstat_MISCONF` is higher at a later reading; a server that
restarted in between counts from nought.

## When it is wrong
A server for development or tests, which the tags or labels of all its live processes say: then what is off is told as
info. Jobs that somebody enqueues again from a database of record.

## Confirm by hand
`redis-cli info persistence`, `redis-cli config get save`, `redis-cli config get appendonly`,
`redis-cli info replication`.

## How to fix
`CONFIG SET appendonly yes`, which loses a second at worst, and the same in redis.conf. Where saving fails: look at the
disk's room and rights, at `vm.overcommit_memory`, and at Redis' log.

Risk: the first rewrite of the AOF takes memory and disk as a snapshot does. `stop-writes-on-bgsave-error no` only
hides a failing save.

Undo: `CONFIG SET appendonly no`.

## Unknown when
INFO is refused. Where CONFIG is refused, or hides `save` as managed servers do, and neither AOF nor a replica is there,
only the failing part is judged.

## Source
Sidekiq's wiki, Using Redis; Redis' persistence documentation; rdb.c and aof.c for the words of INFO.

- LATELY: seconds; a rise since an older recording is history.
"""

import re
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import Configuration, Connection, Server
from kiqdoctor.doctor.ticks import shown
from kiqdoctor.regex import regex

LATELY = 3600
SAVES = (("rdb_last_bgsave_status", "snapshot"), ("aof_last_write_status", "write to the AOF"))
TRIAL = regex(r"(?:^|[^a-z])(?:dev|development|test|testing|ci|staging|review|sandbox)(?:[^a-z]|$)", re.IGNORECASE)
TURN_ON = "`CONFIG SET appendonly yes` and the same in redis.conf, or accept the loss of all jobs knowingly."
MEND = "Give Redis' disk room and rights, and read Redis' own log: until it can save it refuses every write."


@check("RED006", severity=Severity.HIGH)
def persistence_off_or_failing(
    servers: Series[Server], connection: Connection, configuration: Configuration | Missing, fleet: Fleet | Missing
) -> Iterator[Verdict]:
    if connection.embedded:
        yield NotApplicable("the server was started for this examination, and ends with it")
        return
    server = servers.last
    seen = tuple(_seen(server, configuration))
    yield from _failing(servers, seen)
    if server.info.get("aof_enabled") is None:
        yield Unknown("INFO does not say how the server saves", "a server that does")
    elif server.info["aof_enabled"] == "0" and not server.number("connected_slaves"):
        yield from _off(configuration, seen, trial=_for_trials(fleet))
    yield from seen


def _failing(servers: Series[Server], seen: tuple[Evidence, ...]) -> Iterator[Finding]:
    for name, what in SAVES:
        status = servers.last.info.get(name, "ok")
        if status != "ok":
            yield Finding("redis", f"Redis' last {what} failed ({name}: {status})", MEND, seen, key=name)
    lately = servers.within(LATELY)
    rise = lately.rise(lambda one: one.errors("MISCONF"), lambda one: one.run)
    if rise:
        title = f"Redis refused {rise:.0f} commands because it cannot save"
        errors = Evidence("MISCONF errors", f"{rise:.0f} within {lately.window_s:.0f} s", "INFO errorstats")
        yield Finding("redis", title, MEND, (errors, *seen), key="misconf")


def _off(configuration: Configuration | Missing, seen: tuple[Evidence, ...], *, trial: bool) -> Iterator[Verdict]:
    """There is neither an AOF nor a replica: snapshots are all that may be left."""
    if not isinstance(configuration, Configuration):
        yield Unknown(f"whether Redis makes snapshots: {configuration.reason}", getattr(configuration, "unlock", ""))
    elif (save := configuration.settings.get("save")) is None:
        yield Unknown("the server does not tell whether it makes snapshots", "a server that tells `save`")
    elif not save.strip():
        severity = Severity.INFO if trial else Severity.HIGH.milder
        yield Finding("redis", "Redis keeps nothing on disk and has no replica", TURN_ON, seen, severity, key="off")


def _for_trials(fleet: Fleet | Missing) -> bool:
    """Whether every live process says that it is of no production."""
    live = fleet.live if isinstance(fleet, Fleet) else ()
    return bool(live) and all(any(map(TRIAL.search, (one.tag, *one.labels))) for one in live)


def _told(server: Server, name: str) -> str:
    at = server.number(name) if name.endswith("_time") else None
    return server.info[name] if not at else shown(at)


def _seen(server: Server, configuration: Configuration | Missing) -> Iterator[Evidence]:
    for name in (*(name for name, _ in SAVES), "aof_enabled", "rdb_last_save_time", "connected_slaves"):
        if name in server.info:
            yield Evidence(name, _told(server, name), "INFO")
    if isinstance(configuration, Configuration) and "save" in configuration.settings:
        yield Evidence("save", configuration.settings["save"] or '""', "CONFIG GET save")
