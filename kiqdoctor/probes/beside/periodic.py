"""Periodic jobs as their schedulers keep them: sidekiq-cron, sidekiq-scheduler, our runtime."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from kiqdoctor.doctor.facts.beside import PeriodicJob, PeriodicJobs
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import batched, kind, number, refused, word
from kiqdoctor.probes.names import shared
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire import codec
from kiqdoctor.wire.heartbeat import PERIODIC, RUNTIME
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.numbers import real

MOST: Final = 5_000  # periodic jobs of one scheduler
LONGEST: Final = 1_000  # characters of a cron line that anybody honest writes
MOST_BYTES: Final = 8 * 1024 * 1024  # of one hash of schedules
CRON: Final = "sidekiq-cron"
SCHEDULER: Final = "sidekiq-scheduler"
OURS: Final = "kiqdoctor"
_OURS: Final = regex(r"(?P<name>\S+) (?P<cron>(?:\S+ ){4,5}\S+) (?P<zone>\S+) [0-9a-f]{8}")
_ALIASES: Final = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@noon": "0 12 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_ZONE: Final = regex(r"[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*|Z|[+-]\d\d:?\d\d")
_SPACED: Final = regex(r"(?<! ) ++(?=[+-]\d\d:?\d\d$|Z$)")
_DAYS: Final = frozenset({"sun", "mon", "tue", "wed", "thu", "fri", "sat"})
FIELDS: Final = (5, 6)  # of a cron line, without and with seconds


@probe(
    Read("SCAN", "+scan", "shared with Keyspace"),
    Read("TYPE, HSTRLEN, HMGET cron_job:*", "+type +hstrlen +hmget", "O(1) each, up to 5,000"),
    Read("ZRANGE cron_job:*:enqueued, sidekiq-scheduler:pushed:*", "+zrange", "O(log n) each"),
    Read("HLEN, MEMORY USAGE, HGETALL of schedules and last ticks", "+hlen +memory|usage +hgetall", "up to 5,000"),
    Read("HGET kiq:about:*", "+hget", "O(1), of our processes"),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def periodic(redis: Redis, fleet: Fleet) -> PeriodicJobs:
    """Each with its cron line, its zone, and when it ran last."""
    keys, names = Keys(redis.namespace), shared(redis)
    crons = [name for name in names.under(keys.name("cron_job:")) if not name.endswith((":enqueued", ":jid_history"))]
    scheduled, cut = _scheduler(redis, keys)
    ours, short = _ours(redis, keys, fleet)
    parts = [cut, short, names.shortfall]
    if crons[MOST:]:
        parts.append(f"more than {MOST} jobs of {CRON}")
    found = [*_cron(redis, keys, crons[:MOST]), *scheduled, *ours]
    return PeriodicJobs(tuple(found), "; ".join(filter(None, parts)))


def split(line: str) -> tuple[str, str]:
    """A cron line without its zone, and that; "" for a line that is none ("every hour" is Ruby's to understand)."""
    words = line.split()
    last = words[-1] if len(words) - 1 in {1, *FIELDS} else ""
    zone = words.pop() if _ZONE.fullmatch(last) and last.lower() not in _DAYS else ""
    if len(words) == 1:
        return _ALIASES.get(words[0].lower(), ""), zone
    return (" ".join(words), zone) if len(words) in FIELDS else ("", "")


def moment(text: str) -> tuple[float | None, int | None]:
    """A time as Ruby writes it, in epoch seconds, and the offset of the zone that it was written in."""
    try:
        found = datetime.fromisoformat(_SPACED.sub("", text.strip().replace("UTC", "+00:00")))
    except ValueError:
        return None, None
    offset = found.utcoffset()
    return (None, None) if offset is None else (found.timestamp(), int(offset.total_seconds()))


def _cron(redis: Redis, keys: Keys, names: Sequence[str]) -> Iterator[PeriodicJob]:
    keyed = {keys.name(f"cron_job:{name}"): name for name in names}
    lengths = _insisted(batched(redis, [("HSTRLEN", key, "cron") for key in keyed]))
    fitting = [key for key, size in zip(keyed, lengths, strict=True) if 0 < number(size) <= LONGEST]
    fields = ("name", "cron", "status", "last_enqueue_time", "klass")
    replies = _insisted(batched(redis, [("HMGET", key, *fields) for key in fitting]))
    pushed = _insisted(batched(redis, [("ZRANGE", f"{key}:enqueued", -1, -1, "WITHSCORES") for key in fitting]))
    for key, reply, newest in zip(fitting, replies, pushed, strict=True):
        name, line, status, last, job_class = map(word, reply if isinstance(reply, list) else [b""] * 5)
        cron, zone = split(line)
        at, _ = moment(last) if last else (None, None)
        yield PeriodicJob(
            name=clean(name or keyed[key]),
            kind=CRON,
            cron=cron,
            zone=zone or "UTC",  # it looks back from a time in UTC, whose zone a line without one takes
            enabled=status != "disabled",
            last=at,
            registered=real(newest[1]) if isinstance(newest, list) and len(newest) == 2 else None,  # noqa: PLR2004
            odd=_odd(cron, line) or (f"its last time is {clean(last)}" if last and at is None else ""),
            job_class=clean(job_class),
        )


def _odd(cron: str, line: str) -> str:
    return "" if cron else f"its line is no cron line that we read: {clean(line)}"


def _scheduler(redis: Redis, keys: Keys) -> tuple[list[PeriodicJob], str]:
    schedules, cut = _hash(redis, keys.name("schedules"))
    if not schedules:
        return [], cut
    prefix = "sidekiq-scheduler:"
    lasts, nexts, states = (_hash(redis, keys.name(prefix + one))[0] for one in ("last_times", "next_times", "states"))
    names = list(schedules)
    lasting = [("ZRANGE", keys.name(f"{prefix}pushed:{name}"), -1, -1, "WITHSCORES") for name in names]
    pushed = _insisted(batched(redis, lasting))
    found = []
    for name, newest in zip(names, pushed, strict=True):
        one = _scheduled(name, schedules[name], lasts.get(name, ""), nexts.get(name, ""), states.get(name, ""))
        tick = real(newest[1]) if isinstance(newest, list) and len(newest) == 2 else None  # noqa: PLR2004
        found.append(_with_tick(one, tick))
    return found, cut


def _with_tick(one: PeriodicJob, tick: float | None) -> PeriodicJob:
    import msgspec

    return one if tick is None else msgspec.structs.replace(one, registered=tick)


def _scheduled(name: str, config: str, last: str, due: str, state: str) -> PeriodicJob:
    words, told = _object(config), _object(state)
    spec = words.get("cron")
    line = spec[0] if isinstance(spec, list) and spec else spec
    cron, zone = split(line) if isinstance(line, str) and len(line) <= LONGEST else ("", "")
    at, offset = moment(last) if last else (None, None)
    odd = "its schedule is no JSON object" if not words else ""
    if not odd and "rails_env" in words:
        odd = f"it runs in {clean(str(words['rails_env']))} only, and which that is here is not said"
    enabled = told.get("enabled", words.get("enabled", True))
    return PeriodicJob(
        name=clean(name),
        kind=SCHEDULER,
        cron=cron,
        zone=zone,
        enabled=enabled is not False,
        last=at,
        last_offset_s=offset,
        next=moment(due)[0] if due else None,
        odd=odd or (_odd(cron, line) if isinstance(line, str) and not due else ""),
        job_class=clean(str(words.get("class", ""))),
    )


def _object(text: str) -> dict[str, Any]:
    try:
        found = codec.decode(text) if text else {}
    except codec.NotJsonError:
        return {}
    return found if isinstance(found, dict) else {}


def _ours(redis: Redis, keys: Keys, fleet: Fleet) -> tuple[list[PeriodicJob], str]:
    ticks, cut = _hash(redis, keys.periodic)
    if not ticks:
        return [], cut
    living = [one.identity for one in fleet.live if one.runtime == RUNTIME]
    told = [_names(reply) for reply in batched(redis, [("HGET", keys.about(one), PERIODIC) for one in living])]
    wanted: set[str] = set().union(*(one or () for one in told))
    silent = not told or None in told or bool(fleet.partial)
    absent = None if silent else False
    return [_own(name, tick, True if name in wanted else absent) for name, tick in ticks.items()], cut


def _names(reply: Any) -> set[str] | None:
    try:
        found = codec.decode(reply) if isinstance(reply, bytes) else None
    except codec.NotJsonError:
        return None
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else None


def _own(name: str, tick: str, wanted: bool | None) -> PeriodicJob:
    match = _OURS.fullmatch(name)
    at = real(tick)
    if match is None or at is None:
        return PeriodicJob(clean(name), OURS, wanted=wanted, odd="it is no entry that our runtime writes")
    return PeriodicJob(clean(match["name"]), OURS, match["cron"], match["zone"], last=at, wanted=wanted)


def _hash(redis: Redis, key: str) -> tuple[dict[str, str], str]:
    """A small hash as texts, and why it was not read."""
    if kind(redis, key) != "hash":
        return {}, ""
    count, size = redis.ask_all([("HLEN", key), ("MEMORY", "USAGE", key, "SAMPLES", 100)])
    if number(count) > MOST or number(size) > MOST_BYTES:
        return {}, f"{key} is too large to be read"
    flat = redis.ask("HGETALL", key)
    return dict(zip(map(decode, flat[::2]), map(decode, flat[1::2]), strict=True)), ""


def _insisted(replies: list[Any]) -> list[Any]:
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    return replies
