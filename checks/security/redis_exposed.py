"""A Redis can be reached by strangers, or is spoken to in the clear over the open internet.

## Why it hurts
Whoever reaches it reads every job's arguments, pushes jobs of his own, and wipes the rest. Open Redis servers are found
within hours, by programs that do nothing else.

In the log: nothing; queues are suddenly empty.

## How it is found
Formula: fails if a file publishes Redis' port on an address that is not loopback and no password is asked for, or it
binds to all with protected-mode off and without a password, or names a public host by redis:// without TLS

Read are compose files (a published port without an address is open on all of them, and the official image turns
protected mode off), Kubernetes services of type LoadBalancer and NodePort, redis.conf, and addresses in env files,
units and settings. A published port with a password is no finding. What serves development only, by its path, its
mounts or its environment, is low; a compose file with nothing of the application in it is medium.

## When it is wrong
A firewall or a network policy that no file here tells of.

## Confirm by hand
From another network: `redis-cli -h HOST ping`.

## How to fix
Publish on loopback (`127.0.0.1:6379:6379`) or not at all; ask for a password; use rediss:// beyond the own network.

Risk: whoever used the open port loses it.

Undo: the old line.

## Unknown when
The password may stand in a file that is not in the tree.

## Source
Sidekiq's issue 2901 (an open Redis, wiped); redis.io/docs, Security; the official image's notes on protected mode.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.config import RedisAddress, RedisFiles, RedisService


@check("SEC001", severity=Severity.CRITICAL)
def redis_exposed(files: RedisFiles | Missing) -> Iterator[Verdict]:
    if not isinstance(files, RedisFiles):
        yield _missing(files)
        return
    for service in files.services:
        yield from _of_service(service)
    for path in dict.fromkeys(one.path for one in files.addresses):
        yield _in_the_clear([one for one in files.addresses if one.path == path])
    for path, reason in files.unreadable:
        yield Unknown(f"{path}: {reason}; it may publish a Redis")
    yield Evidence(
        "files that may start or name a Redis", str(files.files), "compose, Kubernetes, redis.conf, env files"
    )


def _missing(files: Missing) -> Verdict:
    unlock = getattr(files, "unlock", None)
    return NotApplicable(files.reason) if unlock is None else Unknown(files.reason, unlock)


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


def _in_the_clear(found: list[RedisAddress]) -> Finding:
    first = found[0]
    secret = ", with its password" if first.password else ""
    return Finding(
        f"file:{first.path}",
        f"{first.path} names {first.host} by redis://: jobs pass the open internet in the clear{secret}",
        "Write rediss://, or use an address of the private network.",
        tuple(Evidence("host", one.host, f"{one.path}:{one.line}") for one in found[:10]),
        Severity.HIGH,
        location=Location(first.path, first.line),
        key="tls",
    )
