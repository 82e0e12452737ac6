"""A client gives up waiting before the blocking command that it sent can answer.

## Why it hurts
The client hangs up while the server still waits for a job. If one comes in that moment, the server hands it to nobody:
it is gone. And each such wait ends in an error, so that a worker reconnects all day.

In the log: `Timeout reading from socket`, `Redis::TimeoutError`, `RedisClient::ReadTimeoutError`, every few seconds.

## How it is found
Formula: fails if the socket's time-out <= the time that a blocking pop may wait (0 = for ever); medium if a Ruby
setting gives the network less than LEAST

Python: the clients of redis-py that the code builds, with socket_timeout; where nobody says it 5 s from redis-py 8 on,
and no limit before. Ruby's clients add the time of a blocking command by themselves; a pop that is sent by
`call("BRPOP", ...)` they do not know to be one.

## When it is wrong
The client that pops is another one than those that are seen; a retry that is set does not mend it.

## Confirm by hand
Let the queue be empty, and look at the worker's log for as long as its pop waits.

## How to fix
Give the client that pops socket_timeout=None, or two seconds more than the pop; in Ruby use `blocking_call`.

Risk: a server that hangs is noticed later.

Undo: the old number.

## Unknown when
A pop whose client the source does not lead to, where clients with different time-outs are built; options that are
computed.

## Source
redis-py 8.1 (its socket_timeout of 5 s; blpop, blmove and xread fail by it, pubsub.listen does not); redis-client's
blocking_call; lib/sidekiq/fetch.rb.

- LEAST: seconds; below it ordinary replies of a busy server are taken for a failure.
- USUAL: seconds that Ruby's redis-client waits where nobody says it.
- MARGIN: seconds that the remedy leaves.
- FOREVER: stands for a pop without an end, in seconds.
- NEVER: stands for no time-out, in seconds.
- DEFAULT: redis-py's own socket_timeout, in seconds.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check, covers
from kiqdoctor.doctor.facts.code import Call, Calls, Code
from kiqdoctor.doctor.facts.code.habits import PopLimits
from kiqdoctor.doctor.facts.config import ScriptLine, Scripts
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.settings import RedisSettings

LEAST = 1.0
USUAL = 1.0
MARGIN = 2.0
FOREVER = 1e9  # seconds
NEVER = 1e12  # seconds
DEFAULT = 5.0
POPS = {"blpop": 1, "brpop": 1, "bzpopmin": 1, "bzpopmax": 1, "brpoplpush": 2, "blmove": 2, "blmpop": 0, "bzmpop": 0}
STREAMS = ("xread", "xreadgroup")
BUILDERS = ("redis.Redis", "redis.StrictRedis", "redis.from_url", "redis.Redis.from_url", "redis.client.Redis")


@check("CFG005", severity=Severity.HIGH)
def blocking_timeout_inversion(
    scripts: Scripts,
    settings: RedisSettings | Missing,
    code: Code | Missing,
    calls: Calls | Missing,
    packages: Packages | Missing,
    pops: PopLimits | Missing,
) -> Iterator[Verdict]:
    for one in settings.all if isinstance(settings, RedisSettings) else ():
        if one.language == "ruby" and one.timeout_s is not None and one.timeout_s < LEAST:
            title = f"{one.path} gives the network {one.timeout_s:g} s: a busy server is taken for a dead one"
            yield _finding(one.path, one.line, title, f"Set {LEAST:g} s or more.", "network", Severity.MEDIUM)
    for line in scripts.all:
        if line.word == "raw-pop":
            yield from _raw(line, settings)
    if isinstance(code, Code) and isinstance(calls, Calls):
        yield from _python(code, calls, packages, pops)
    yield Evidence("files looked at", str(scripts.files))


def _raw(line: ScriptLine, settings: RedisSettings | Missing) -> Iterator[Verdict]:
    waits = float(line.guards[0]) if line.guards else None
    said = [one.timeout_s for one in settings.all if one.timeout_s] if isinstance(settings, RedisSettings) else []
    limit = min(said, default=USUAL)
    if waits is None:
        yield Unknown(f"{line.path}:{line.line}: how long this blocking pop waits is computed")
    elif waits == 0 or waits >= limit:
        told = "for ever" if waits == 0 else f"{waits:g} s"
        title = f"{line.path} waits {told} by `call`, and its client gives up after {limit:g} s"
        yield _finding(line.path, line.line, title, "Use blocking_call, which adds the command's own time.", "raw")


def _python(code: Code, calls: Calls, packages: Packages | Missing, own: PopLimits | Missing) -> Iterator[Verdict]:
    pops = [(one, waits) for one in calls.sites if (waits := _waits(one)) is not None]
    computed = [one for one in calls.sites if _pops(one) and _waits(one) is None]
    if computed and not _patient(calls, packages):
        place = code.place(computed[0])
        yield Unknown(f"{place.path}:{place.line}: how long this blocking pop waits is computed")
    if not pops:
        return
    version = packages.version_of("python", "redis") if isinstance(packages, Packages) else ""
    limits = {_limit(one, version) for one in calls.sites if one.name in BUILDERS}
    known = {one for one in limits if one is not None}
    told = own.sites if isinstance(own, PopLimits) else ()
    clients = {(one.function, one.line, one.column): _told(one.name, version) for one in told}
    for call, waits in pops:
        limit = clients.get((call.function, call.line, call.column))
        if limit is not None:
            place = code.place(call)
            if limit <= waits:
                yield _short(call, place.path, place.line, waits, limit)
            else:
                yield Evidence("a blocking pop", "its client waits longer", f"{place.path}:{place.line}")
            continue
        place = code.place(call)
        where = f"{place.path}:{place.line}"
        short = [one for one in known if one <= waits]
        if short and len(limits) == 1:
            yield _short(call, place.path, place.line, waits, short[0])
        elif short or not known or None in limits:
            yield Unknown(f"{where}: which time-out its client has is not known")
        else:
            yield Evidence("a blocking pop", "its client waits longer", where)


def _pops(call: Call) -> bool:
    return call.name.startswith("redis.") and call.name.rpartition(".")[2] in POPS


def _patient(calls: Calls, packages: Packages | Missing) -> bool:
    """Whether every client waits for ever."""
    version = packages.version_of("python", "redis") if isinstance(packages, Packages) else ""
    limits = {_limit(one, version) for one in calls.sites if one.name in BUILDERS}
    return bool(limits) and limits == {NEVER}


def _told(text: str, version: str) -> float | None:
    """Seconds of a client that is known; None where its library's default cannot be told."""
    if text == "None":
        return NEVER
    if _number(text):
        return float(text)
    newer = covers(">=8", version)
    return None if newer is None else DEFAULT if newer else NEVER


def _waits(call: Call) -> float | None:
    """Seconds that a blocking read of redis-py waits; None for any other call, and where it is computed."""
    if not call.name.startswith("redis."):
        return None
    head, _, verb = call.name.rpartition(".")
    if not head.startswith("redis."):
        return None
    named = {one.name: one.text for one in call.arguments if one.name}
    if verb in STREAMS:
        block = named.get("block", "")
        return None if not _number(block) else FOREVER if float(block) == 0 else float(block) / 1000
    if verb not in POPS:
        return None
    plain = [one.text for one in call.arguments if not one.name]
    at = POPS[verb]
    said = named.get("timeout", plain[at] if len(plain) > at else "0")
    return None if not _number(said) else FOREVER if float(said) == 0 else float(said)


def _number(text: str) -> bool:
    return text.replace(".", "", 1).isdecimal() and len(text) < len("1000000000")


def _limit(call: Call, version: str) -> float | None:
    """Seconds after which a client gives up; `NEVER` where it does not, None where it cannot be told."""
    named = {one.name: one.text for one in call.arguments if one.name}
    if named.keys() & {"**", "connection_pool"}:
        return None
    if "socket_timeout" in named:
        text = named["socket_timeout"]
        return NEVER if text == "None" else float(text) if _number(text) else None
    newer = covers(">=8", version)
    return None if newer is None else DEFAULT if newer else NEVER


def _short(call: Call, path: str, line: int, waits: float, limit: float) -> Finding:
    verb = call.name.rpartition(".")[2]
    told = "for ever" if waits == FOREVER else f"{waits:g} s"
    more = "None" if waits == FOREVER else f"{waits + MARGIN:g} or None"
    title = f"{verb} waits {told}, and its client gives up after {limit:g} s: a job that comes then is lost"
    return _finding(path, line, title, f"Give the client that pops socket_timeout={more}.", verb)


def _finding(path: str, line: int, title: str, fix: str, key: str, severity: Severity | None = None) -> Finding:
    evidence = (Evidence("line", f"{path}:{line}"),)
    return Finding(f"file:{path}", title, fix, evidence, severity, location=Location(path, line), key=key)
