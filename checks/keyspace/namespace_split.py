"""Clients and workers use different namespaces, or different Redis addresses.

## Why it hurts
Jobs are pushed where no worker looks: no error, no log line, an ever longer queue that no dashboard of the workers
shows.

In the log: nothing on either side. The client logs that it pushed, the workers log that they wait.

## How it is found
Formula: fails if namespace, url or database of server != those of client, or only one of them is configured; or if a
prefix P has waiting > 0 and live = 0 while another prefix of the same database has live > 0

In the source: `Sidekiq.configure_server` and `configure_client` (or the Python settings of worker and web) name
different namespaces, URLs or databases, or only one of them is configured. In Redis: jobs wait under one prefix
that has no process, while live processes work under another prefix of the same database. It counts as certain where
no worker ever counted a job under the waiting prefix and the live processes take queues of the same names.

## When it is wrong
Several applications may share a database, each prefix with its own processes: that is healthy. Values through one
constant, one method or one environment variable are equal. Of a repository that holds several applications, each with
both roles, each is compared with itself. What stands under `if Rails.env.development?` (or `test?`) is not compared;
a role that a file tells twice has what it was told last.

## Confirm by hand
`redis-cli --scan --pattern '*:queues'` and `'*:processes'`; compare both configure blocks.

## How to fix
Configure both roles from one constant; from Sidekiq 7 on use a database number or a Redis of its own instead of a
namespace. The stranded jobs can be moved once the configuration is right.

Risk: jobs that are moved run late, and those that somebody enqueued again meanwhile run twice.

Undo: the configuration is one commit to revert; moved jobs that have run cannot be taken back, so move one first.

## Unknown when
An expression cannot be followed, or the scan ended before all keys were seen.

## Source
Sidekiq's wiki (Using Redis, Problems and Troubleshooting); redis-namespace's key prefixes.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import (
    Absent,
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
from kiqdoctor.doctor.facts.keyspace import Installation, Keyspace
from kiqdoctor.doctor.facts.settings import RedisSetting, RedisSettings

REMEDY = "Configure clients and workers from one constant, then move the stranded jobs to the prefix the workers read."


@check("NSP001", severity=Severity.CRITICAL, caused_by=("NSP003",))
def namespace_split(keyspace: Keyspace | Missing, settings: RedisSettings | Missing) -> Iterator[Verdict]:
    for fact in (keyspace, settings):
        if isinstance(fact, Refused):
            yield Unknown(fact.reason, fact.unlock)
    if isinstance(keyspace, Absent) and isinstance(settings, Absent):
        yield NotApplicable(f"{keyspace.reason}; {settings.reason}")
    if isinstance(settings, RedisSettings):
        yield from _configured(settings)
    if isinstance(keyspace, Keyspace):
        yield from _living(keyspace)


def _living(keyspace: Keyspace) -> Iterator[Verdict]:
    for stranded in keyspace.installations:
        if stranded.waiting and not stranded.live:
            others = [one for one in keyspace.installations if one.live and one.prefix != stranded.prefix]
            if others:
                yield _stranded(stranded, max(others, key=lambda one: len(_shared(stranded, one))))
    if not keyspace.complete:
        yield Unknown(f"{keyspace.scanned} of {keyspace.total} keys were looked at", "a smaller database")
    if not keyspace.installations:
        yield Evidence("prefixes that hold Sidekiq's data", "none", f"SCAN of {keyspace.scanned} keys")
    for one in keyspace.installations:
        counts = f"{one.waiting} waiting, {counted(one.live, 'live process', 'live processes')}"
        yield Evidence(f"prefix {_name(one)}", counts, f"SCAN of database {one.database}")


def _shared(stranded: Installation, other: Installation) -> set[str]:
    return {name for name, size in stranded.queues if size} & set(other.process_queues)


def _stranded(stranded: Installation, other: Installation) -> Finding:
    shared = sorted(_shared(stranded, other))
    if not shared:
        severity = Severity.MEDIUM
    elif stranded.processed or stranded.processes:
        severity = Severity.HIGH
    else:
        severity = Severity.CRITICAL
    evidence = (
        Evidence(
            f"under {_name(stranded)}",
            f"{counted(stranded.waiting, 'job waits', 'jobs wait')}, no live process",
            "LLEN, processes",
        ),
        Evidence(
            f"under {_name(other)}",
            f"{counted(other.live, 'live process', 'live processes')},"
            f" {counted(other.waiting, 'job waits', 'jobs wait')}",
            "processes",
        ),
        Evidence("queues that those processes take", ", ".join(other.process_queues) or "?", "info"),
        Evidence("queues of the same name", ", ".join(shared) or "none"),
        Evidence("classes that wait", ", ".join(stranded.job_classes) or "?", "LINDEX"),
    )
    return Finding(
        "redis",
        f"{counted(stranded.waiting, 'job waits', 'jobs wait')} under {_name(stranded)}, where"
        f" no worker looks; {counted(other.live, 'live worker reads', 'live workers read')}"
        f" {_name(other)}",
        REMEDY,
        evidence,
        severity,
        key=stranded.prefix or "unprefixed",
    )


def _name(one: Installation) -> str:
    return f"the namespace {one.prefix}:" if one.prefix else "the unprefixed keys"


def _configured(settings: RedisSettings) -> Iterator[Verdict]:
    for path, reason in settings.unreadable:
        yield Unknown(f"{path}: {reason}", "a file that can be parsed")
    for language in dict.fromkeys(one.language for one in settings.all):
        for group in _together([one for one in settings.all if one.language == language]):
            servers = [one for one in group if one.role == "server"]
            clients = [one for one in group if one.role == "client"]
            yield from _compared(servers, clients)


def _together(settings: list[RedisSetting]) -> Iterator[list[RedisSetting]]:
    """What is of one application: a repository may hold several, each of which configures both roles."""
    apart: dict[str, list[RedisSetting]] = {}
    for one in settings:
        apart.setdefault(_application(one.path), []).append(one)
    whole = [group for group in apart.values() if {"server", "client"} <= {one.role for one in group}]
    if len(whole) > 1:
        yield from whole
    else:
        yield settings


def _application(path: str) -> str:
    """The folder above ``config/``; "" where that is the repository's own, or there is none."""
    above, config, _ = path.partition("/config/")
    return above if config else ""


def _compared(servers: list[RedisSetting], clients: list[RedisSetting]) -> Iterator[Verdict]:
    unresolved = [one for one in (*servers, *clients) if one.unresolved]
    for one in unresolved:
        yield Unknown(f"{one.path}:{one.line}: {one.unresolved}", "a literal, a constant or one environment variable")
    servers, clients = ([one for one in some if not one.unresolved] for some in (servers, clients))
    if unresolved and not (servers and clients):
        return
    lone = (servers or clients) if not (servers and clients) else []
    if any(_says(setting) for setting in lone):
        yield _one_sided(lone[0])
    differing = [(server, client) for server in servers for client in clients if _differ(server, client)]
    if differing:
        yield _differing(*differing[0])
    for setting in (*servers, *clients):
        yield Evidence(setting.role, _spelt(setting), f"{setting.path}:{setting.line}")


def _url(setting: RedisSetting) -> str | None:
    """Who says nothing gets REDIS_URL too."""
    return None if setting.url == "ENV[REDIS_URL]" else setting.url


def _says(setting: RedisSetting) -> bool:
    return any(value is not None for value in (_url(setting), setting.database, setting.namespace))


def _differ(one: RedisSetting, other: RedisSetting) -> list[str]:
    pairs = {
        "namespace": (one.namespace or None, other.namespace or None),
        "url": (_url(one), _url(other)),
        "database": (one.database, other.database),
    }
    return [name for name, (mine, theirs) in pairs.items() if mine != theirs]


def _spelt(setting: RedisSetting) -> str:
    parts = (("url", setting.url), ("database", setting.database), ("namespace", setting.namespace))
    return ", ".join(f"{name} {value}" for name, value in parts if value is not None) or "the default address"


def _differing(server: RedisSetting, client: RedisSetting) -> Finding:
    what = " and ".join(_differ(server, client))
    return Finding(
        f"file:{client.path}",
        f"Workers and clients are configured with a different {what}",
        "Configure both from one constant.",
        (
            Evidence("server", _spelt(server), f"{server.path}:{server.line}"),
            Evidence("client", _spelt(client), f"{client.path}:{client.line}"),
        ),
        location=Location(client.path, client.line, client.column),
        key=what,
    )


def _one_sided(setting: RedisSetting) -> Finding:
    other = "client" if setting.role == "server" else "server"
    return Finding(
        f"file:{setting.path}",
        f"Only the {setting.role} is told which Redis to use; the {other} takes its default",
        f"Configure the {other} from the same constant.",
        (Evidence(setting.role, _spelt(setting), f"{setting.path}:{setting.line}"),),
        location=Location(setting.path, setting.line, setting.column),
        key=f"only-{setting.role}",
    )
