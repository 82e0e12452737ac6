"""A Redis can be reached by strangers, or is spoken to in the clear over the open internet.

## Why it hurts
Whoever reaches it reads every job's arguments, pushes jobs of his own, and wipes the rest. Open Redis servers are found
within hours, by programs that do nothing else.

In the log: nothing; queues are suddenly empty.

## How it is found
Formula: PING is answered without a password, and (the address is public, or the server listens beyond loopback with
protected mode without effect): critical; from a private address, where CONFIG does not tell more, or redis:// to a
public address: high; and fails if a file publishes Redis' port on an address that is not loopback and no password is
asked for, or it binds to all with protected-mode off and without a password, or names a public host by redis://, or as
the host of a client in Python, without TLS

Of a live server what counts is what was possible: our own connection tells it where it gave no password, else another
one is opened that sends PING and goes. Protected mode refuses everybody but this host while there is no password;
before Redis 7.0 it does nothing where `bind` names an address.

Of files read are compose files (a published port without an address is open on all of them, and the official image
turns protected mode off), Kubernetes services of type LoadBalancer and NodePort with the pods that they lead to, pods
that take a port of their host, Kamal's accessories (a port alone is open on all addresses of its host), redis.conf,
and addresses in env files, units, manifests, Dockerfiles, scripts and source code. A published port with a password is
no finding. What serves development only, by its path, its mounts, its environment, the names of its image, build and
env file, a command that reloads what is edited, what its first comment says, or since a Capfile deploys the
application, is low; a compose file with nothing of the application in it is medium.

## When it is wrong
A firewall, a VPC or a network policy that nothing here tells of: suppress it there, with that reason. A user without a
password that may do next to nothing.

## Confirm by hand
From another network, without a password: `redis-cli -h HOST ping`; `redis-cli config get bind`,
`redis-cli config get protected-mode`.

## How to fix
Publish on loopback (`127.0.0.1:6379:6379`) or not at all; ask for a password, or have ACL users, one a role; use
rediss:// beyond the own network.

Risk: whoever used the open port loses it; clients that give no password are refused: hand it out first.

Undo: the old line; `ACL SETUSER default on nopass`, which opens it again.

## Unknown when
The password may stand in a file that is not in the tree. From loopback or a unix socket without a password, where
CONFIG is refused: whether others get in is not known.

## Source
Sidekiq's issue 2901 (an open Redis, wiped); redis.io/docs, Security; the official image's notes on protected mode;
networking.c, clientAcceptHandler at 6.2 and 7.0.
"""

from collections.abc import Iterator
from ipaddress import ip_address

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
from kiqdoctor.doctor.facts.config import RedisAddress, RedisAddresses, RedisFiles, RedisService
from kiqdoctor.doctor.facts.redis import Configuration, Exposure, Server

ALWAYS = (7, 0)  # from here on protected mode works whatever `bind` says
REMEDY = "Set a password or ACL users, bind only the addresses that are needed, and close the port to all others."


@check("SEC001", severity=Severity.CRITICAL)
def redis_exposed(
    exposure: Exposure | Missing,
    configuration: Configuration | Missing,
    server: Server | Missing,
    files: RedisFiles | Missing,
    addresses: RedisAddresses | Missing,
) -> Iterator[Verdict]:
    halves = [one for one in (exposure, files) if isinstance(one, Refused | Absent)]
    for one in halves:
        if isinstance(one, Refused):
            yield Unknown(one.reason, one.unlock)
    if all(isinstance(one, Absent) for one in (exposure, files)):
        yield NotApplicable("; ".join(one.reason for one in halves))
    if isinstance(exposure, Exposure):
        yield from _entered(exposure, configuration, server)
    if isinstance(files, RedisFiles):
        yield from _told_by_files(files)
    if isinstance(addresses, RedisAddresses):
        yield from _in_the_clear(addresses)


def _entered(exposure: Exposure, configuration: Configuration | Missing, server: Server | Missing) -> Iterator[Verdict]:
    settings = configuration.settings if isinstance(configuration, Configuration) else None
    seen = tuple(_seen(exposure, settings))
    public = _public(exposure.peer)
    if exposure.open is None:
        yield Unknown(f"whether a password is needed could not be tried: {exposure.answer}", "another client slot")
    elif exposure.open:
        yield from _open(exposure, settings, configuration, server, seen)
    if public and not exposure.encrypted:
        title = f"Jobs and passwords go to {exposure.peer}, a public address, without encryption"
        remedy = "Use rediss:// and a server with TLS, or a tunnel."
        yield Finding("redis", title, remedy, seen, Severity.CRITICAL.milder, key="plain")
    yield from seen


def _open(
    exposure: Exposure,
    settings: dict[str, str] | None,
    configuration: Configuration | Missing,
    server: Server | Missing,
    seen: tuple[Evidence, ...],
) -> Iterator[Verdict]:
    here = not exposure.peer or ip_address(exposure.peer).is_loopback
    listens = None if settings is None else _listens(settings, server)
    title = "Redis answers without a password"
    if _public(exposure.peer):
        yield Finding("redis", f"{title}, at the public address {exposure.peer}", REMEDY, seen, key="open")
    elif listens:
        yield Finding("redis", f"{title}, and listens on {listens} without protection", REMEDY, seen, key="open")
    elif not here:
        severity = Severity.CRITICAL.milder
        yield Finding("redis", f"{title}, at {exposure.peer}", REMEDY, seen, severity, key="open")
    elif listens is None and not (isinstance(server, Server) and server.info.get("tcp_port") == "0"):
        why = getattr(configuration, "reason", "the server does not tell bind and protected-mode")
        unlock = getattr(configuration, "unlock", "") or "+config|get"
        yield Unknown(f"{title} from here; whether from elsewhere: {why}", unlock)


def _public(peer: str) -> bool:
    return bool(peer) and ip_address(peer).is_global


def _listens(settings: dict[str, str], server: Server | Missing) -> str | None:
    """On what address that others reach, while nothing refuses them; "" on none, None where it is not told."""
    if "bind" not in settings or "protected-mode" not in settings:
        return None
    beyond = [word for word in settings["bind"].split() if not _loopback(word.lstrip("-"))]
    everywhere = not settings["bind"].strip()
    if isinstance(server, Server) and server.info.get("tcp_port") == "0":
        return ""
    always = not isinstance(server, Server) or server.version >= ALWAYS
    if settings["protected-mode"] == "yes" and (always or everywhere):
        return ""
    return "every address" if everywhere else ", ".join(beyond)


def _loopback(word: str) -> bool:
    try:
        return ip_address(word).is_loopback
    except ValueError:
        return word == "localhost"


def _seen(exposure: Exposure, settings: dict[str, str] | None) -> Iterator[Evidence]:
    yield Evidence("connected to", exposure.peer or "a unix socket", "the socket")
    yield Evidence("PING without a password", exposure.answer or "not tried", "PING")
    for name in ("bind", "protected-mode"):
        if settings and name in settings:
            yield Evidence(name, settings[name] or "every address", "CONFIG GET")


def _told_by_files(files: RedisFiles) -> Iterator[Verdict]:
    for service in files.services:
        yield from _of_service(service)
    for path, reason in files.unreadable:
        yield Unknown(f"{path}: {reason}; it may publish a Redis")
    yield Evidence("files that may start a Redis", str(files.files), "compose, Kubernetes, Kamal, redis.conf")


def _of_service(one: RedisService) -> Iterator[Verdict]:
    where = f"{one.path}:{one.line}"
    if not one.published or one.password:
        how = "asks for a password" if one.password else "on no address that others reach"
        yield Evidence(one.name, how, where)
    elif one.kind == "redis.conf":
        yield from _of_conf(one)
    elif one.password is None:
        yield Unknown(
            f"{where}: {one.name} is published on {one.published[0]}; whether it asks for a password is not told"
        )
    else:
        yield _published(one)


def _of_conf(one: RedisService) -> Iterator[Verdict]:
    if one.protected is not False:
        yield Evidence(one.name, "protected mode refuses others while there is no password", f"{one.path}:{one.line}")
        return
    title = f"{one.path} binds to {one.published[0]} with protected-mode off and asks for no password"
    fix = "Bind to the address that workers use, and set requirepass or an ACL file."
    yield _finding(one, title, fix, Severity.HIGH)


def _published(one: RedisService) -> Finding:
    title = f"{one.name} of {one.path} is published on {one.published[0]} and asks for no password"
    fix = "Publish it on 127.0.0.1, or not at all: services of one network need no port; else set requirepass."
    alone = one.trial.startswith("nothing")
    severity = Severity.MEDIUM if alone else Severity.LOW if one.trial else Severity.HIGH
    return _finding(one, title, fix, severity)


def _finding(one: RedisService, title: str, fix: str, severity: Severity) -> Finding:
    evidence = [Evidence("published", ", ".join(one.published), f"{one.path}:{one.line}")]
    if one.trial:
        evidence.append(Evidence("how somebody develops", one.trial, one.path))
    return Finding(
        f"file:{one.path}",
        title,
        fix,
        tuple(evidence),
        severity,
        location=Location(one.path, one.line),
        key=one.name,
    )


def _in_the_clear(addresses: RedisAddresses) -> Iterator[Verdict]:
    clear = [one for one in addresses.all if one.public and not one.encrypted]
    for path in dict.fromkeys(one.path for one in clear):
        yield _clear([one for one in clear if one.path == path])
    yield Evidence("files that may name a Redis", str(addresses.files), "env files, units, *.yml, source code")


def _clear(found: list[RedisAddress]) -> Finding:
    first = found[0]
    secret = ", with its password" if first.password else ""
    return Finding(
        f"file:{first.path}",
        f"{first.path} names {first.host} without TLS: jobs pass the open internet in the clear{secret}",
        "Write rediss://, or use an address of the private network.",
        tuple(Evidence("host", one.host, f"{one.path}:{one.line}") for one in found[:10]),
        Severity.LOW if first.trial else Severity.HIGH,
        location=Location(first.path, first.line),
        key="tls",
    )
