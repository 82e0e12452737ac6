"""Job arguments hold secrets, or get into logs.

## Why it hurts
Arguments lie in Redis in clear, are shown in the web UI, and go to logs, error reports and every backup. Whoever may
look at a queue has the key.

In the log: the argument itself, where jobs are logged with theirs.

## How it is found
Formula: high if something in a sampled job's arguments has the form of a known secret (Stripe's live keys, AWS, GitHub,
GitLab, Slack, Google, SendGrid, npm, PyPI, JSON web tokens, private keys); medium if only its name says so (password,
token, secret, ssn, api_key) and there is a value

Of files: high if an address of Redis in source code, env files, manifests or settings has its password spelt out and
names a host of the open internet, medium if one of the own network, low in what serves development only. Words that
stand for a password (changeme), variables, loopback, and files that .gitignore leaves out are none.

Of the source: medium if a job is handed, or a job logs, what its name calls a secret (password, secret, api_key,
access_token and such); low if all arguments of jobs are logged (`*args`, `job["args"]`).

Values never leave the probe: told are the class, where in the arguments, and which form. UUIDs, digests, masks, keys of
test accounts and examples are none.

## When it is wrong
A token that is worthless without its session; a name that says token of something public.

## Confirm by hand
`redis-cli lindex queue:NAME -1`, at the argument that the evidence names.

## How to fix
Pass a reference and look the secret up in the job, or encrypt the argument; then rotate what was there, for it is in
logs and backups.

Risk: what is rotated must be changed everywhere at once.

Undo: nothing to undo.

## Unknown when
Payloads may not be read, or their last argument is encrypted; nothing was found and files could not be parsed.

## Source
Sidekiq Enterprise's encryption of the last argument; Sidekiq 7.3.10 (a password may be a Proc, to be kept out of logs).
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Code
from kiqdoctor.doctor.facts.code.habits import Leak, Leaking, Leaks
from kiqdoctor.doctor.facts.config import RedisAddress, RedisAddresses
from kiqdoctor.doctor.facts.queues import Argument, Samples, Trait
from kiqdoctor.doctor.halves import beside, unseen
from kiqdoctor.doctor.rules import settled, told

SHOWN = 5
Found = dict[str, dict[Argument, set[str]]]


@check("SEC002", severity=Severity.HIGH)
def secret_in_job_or_log(
    samples: Samples | Missing, code: Code | Missing, leaks: Leaks | Missing, addresses: RedisAddresses | Missing
) -> Iterator[Verdict]:
    judged = isinstance(code, Code) and isinstance(leaks, Leaks)
    if isinstance(code, Code) and isinstance(leaks, Leaks):
        yield from beside(_in_source(code, leaks), samples)
    if isinstance(addresses, RedisAddresses):
        yield from (_spelt(one) for one in addresses.all if one.secret)
    if isinstance(samples, Samples):
        yield from _sampled(samples)
    else:
        yield from unseen(samples, judged=judged)


def _in_source(code: Code, leaks: Leaks) -> Iterator[Verdict]:
    found = [_leak(code, one) for one in leaks.sites]
    yield from found
    yield from settled(code, leaks, found=bool(found))


def _leak(code: Code, one: Leak) -> Finding:
    what = "" if one.how is Leaking.ALL else f" ({one.name})"
    fix = (
        "Hand a reference over, and look it up in the job." if one.how is Leaking.HANDED else "Leave it out of the log."
    )
    severity = Severity.LOW if one.how is Leaking.ALL else Severity.MEDIUM
    return told(code, one, severity, f"The source {one.how}{what}", fix, key=f"{one.how.name}:{one.name}")


def _spelt(one: RedisAddress) -> Finding:
    whose = f"the Redis at {one.host}" if one.host else "Redis"
    severity = Severity.LOW if one.trial else Severity.HIGH if one.public else Severity.MEDIUM
    return Finding(
        f"file:{one.path}",
        f"{one.path} spells out the password of {whose}",
        "Read it from the environment or a store of secrets; then change it, for it is in the history and in copies.",
        (Evidence("address", one.host or "not told beside it", f"{one.path}:{one.line}"),),
        severity,
        location=Location(one.path, one.line),
        key=f"address:{one.host}",
    )


def _sampled(samples: Samples) -> Iterator[Verdict]:
    found: Found = {}
    encrypted: set[str] = set()
    for _, one in samples.all:
        if one.encrypted:
            encrypted.add(one.job_class)
        for argument in one.arguments:
            if argument.trait is not Trait.OBJECT:
                found.setdefault(one.job_class, {}).setdefault(argument, set()).add(one.jid)
    for name, arguments in sorted(found.items()):
        yield _finding(name, arguments)
    if encrypted:
        names = ", ".join(sorted(encrypted)[:SHOWN])
        yield Unknown(
            f"the last argument of {names} is encrypted, and was not looked at", "nothing: that is its purpose"
        )
    if samples.unread:
        yield Unknown(f"not every payload was looked at: {samples.unread}", "a budget that reaches all queues")
    yield Evidence("arguments that look like secrets", str(sum(map(len, found.values()))), samples.text)


def _finding(name: str, arguments: dict[Argument, set[str]]) -> Finding:
    ordered = sorted(arguments.items(), key=lambda one: (one[0].trait is not Trait.SECRET, one[0].path))
    first, _ = ordered[0]
    known = first.trait is Trait.SECRET
    what = f"a {first.form}" if known else "what its name calls a secret"
    evidence = tuple(
        Evidence(one.path, one.form or "by its name", counted(len(jids), "sampled job"))
        for one, jids in ordered[:SHOWN]
    )
    return Finding(
        f"job:{name}",
        f"Jobs of {name} carry {what} in {first.path}",
        "Pass a reference in its place, and rotate what was there.",
        evidence,
        Severity.HIGH if known else Severity.HIGH.milder,
    )
