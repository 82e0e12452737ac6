"""The fleet: every registered process with its heartbeat and what it says is in flight."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import MEMBER_LIMIT, batched, granted, members, number, refused, seconds_left, word
from kiqdoctor.text import decode
from kiqdoctor.wire import codec, heartbeat
from kiqdoctor.wire.heartbeat import BEAT, BUSY, CONCURRENCY, INFO, QUIET, RSS, RTT_US
from kiqdoctor.wire.keys import PROCESS_TTL, Keys
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.stamps import plain

BARE: Final = Keys()
MOST_MEMBERS: Final = 50_000  # members of the set that are looked at; as facts in a recording each takes 3 KiB
MOST_READ: Final = 10_000  # processes whose records are read whole
TOGETHER: Final = 250  # keys in one EXISTS: 0.1 ms of Redis' time
FIELDS: Final = (INFO, BUSY, BEAT, QUIET, CONCURRENCY, RSS, RTT_US)
TTL_MS: Final = PROCESS_TTL * 1000  # what each beat gives a record
ABOUT_LIMIT: Final = 4_096  # bytes of what a process says of its threads
LATE: Final = 5.0  # seconds between a beat's stamp and the renewal that comes with it
WORK_LIMIT: Final = 1_000  # jobs in flight of one process that are read
WORK_BYTES: Final = 1024 * 1024  # bytes of one in-flight hash that are read


@probe(
    Read("TYPE, SCARD, SSCAN processes", "+type +scard +sscan", "O(members), up to 50,000"),
    Read("MEMORY USAGE processes and in-flight hashes", "+memory|usage", "O(samples)"),
    Read("EXISTS <identity>...", "+exists", "O(members), 250 a command"),
    Read("HSTRLEN, HMGET, PTTL <identity>", "+hstrlen +hmget +pttl", "O(processes), up to 2,000"),
    Read("HLEN, HGETALL, PTTL <identity>:work and :workers", "+hlen +hgetall", "O(jobs in flight)"),
    Read(f"HEXISTS {BARE.index}, SISMEMBER {BARE.super_processes}", "+hexists +sismember", "O(processes)"),
    Read(f"HSTRLEN, HGET {BARE.about('<identity>')}", "+hstrlen +hget", "O(processes of our runtime)"),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def fleet(redis: Redis, clock: ServerTime | Refused | Absent) -> Fleet:
    """Processes with a record first; members without one are ghosts, looked at twice."""
    keys = Keys(redis.namespace)
    raw, complete = members(redis, keys.processes, MOST_MEMBERS)
    existing, ghosts = sorted_out(redis, keys, raw)
    again, ghosts = sorted_out(redis, keys, ghosts)
    existing += again
    now = clock.now if isinstance(clock, ServerTime) else time.time()
    dated, by_ours = by_right_clock(records(redis, keys, existing[:MOST_READ], now), clock)
    told = _with_processors(redis, keys, dated)
    read = _recoverable(redis, keys, with_work(redis, keys, told))
    haunted = with_work(redis, keys, list(map(_ghost, ghosts[:MOST_READ])))
    plain_ghosts = list(map(_ghost, ghosts[MOST_READ:]))
    partial = "" if complete else f"processes has more than {MOST_MEMBERS} members"
    if len(existing) > MOST_READ:
        partial = f"{MOST_READ} of {len(existing)} process records were read"
    if not raw and redis.namespace is None:
        partial = partial or _elsewhere(redis)
    return Fleet((*read, *haunted, *plain_ghosts), len(raw), partial, by_ours=by_ours,
                 namespace=(redis.namespace or "").rstrip(":"))  # fmt: skip


def _ghost(member: bytes) -> Process:
    """What a name alone tells of a process."""
    identity = decode(member)
    hostname, pid = heartbeat.split_identity(identity)
    return Process(identity, exists=False, hostname=hostname if pid is not None else "", pid=pid)


def by_right_clock(processes: list[Process], clock: ServerTime | Refused | Absent) -> tuple[list[Process], bool | None]:
    """The same, with beats as old as the clock says that their hosts go by; and whether that is ours, None: untold."""
    if not isinstance(clock, ServerTime) or not clock.apart:
        return processes, None
    by_ours = _by_ours(processes, clock)
    return [replace(one, beat_age_s=_by_our_clock(one, clock)) for one in processes] if by_ours else processes, by_ours


def _by_ours(processes: Sequence[Process], clock: ServerTime) -> bool | None:
    """Whether beats go by our clock and not by Redis', which differs; None where they do not tell.

    Each beat renews its record's TTL, which no clock that is set wrong can change: by the right one both are as old.
    """
    ours = theirs = 0
    for one in processes:
        if one.beat is None or one.beat_age_s is None:
            continue
        told = one.ttl_s is not None and one.ttl_s <= PROCESS_TTL
        renewed_s = PROCESS_TTL - (one.ttl_s or 0) if told else PROCESS_TTL / 2
        bounds = LATE if told else PROCESS_TTL / 2 + LATE
        by_redis, by_us = (abs(age - renewed_s) for age in (one.beat_age_s, _by_our_clock(one, clock) or 0.0))
        if min(by_redis, by_us) <= bounds:
            ours, theirs = (ours + 1, theirs) if by_us < by_redis else (ours, theirs + 1)
    return None if ours == theirs else ours > theirs


def _by_our_clock(process: Process, clock: ServerTime) -> float | None:
    if process.beat is None or process.beat_age_s is None:
        return process.beat_age_s
    return process.beat_age_s - clock.ahead_s


def _elsewhere(redis: Redis) -> str:
    """Exq without a namespace takes the same queues, and registers with a colon in front."""
    [count] = batched(redis, [("SCARD", f":{BARE.processes}")])
    return f"{number(count)} Exq nodes register in :{BARE.processes}, and are not read" if number(count) else ""


def sorted_out(redis: Redis, keys: Keys, identities: list[bytes]) -> tuple[list[bytes], list[bytes]]:
    """Those whose hash exists, and those without; whole chunks of ghosts cost one command."""
    chunks = [identities[start : start + TOGETHER] for start in range(0, len(identities), TOGETHER)]
    counts = batched(redis, [("EXISTS", *(key_of(keys, one) for one in chunk)) for chunk in chunks])
    _insist(counts)
    doubtful = [one for chunk, count in zip(chunks, counts, strict=True) if 0 < count < len(chunk) for one in chunk]
    whole = [one for chunk, count in zip(chunks, counts, strict=True) if count == len(chunk) for one in chunk]
    ghosts = [one for chunk, count in zip(chunks, counts, strict=True) if count == 0 for one in chunk]
    singles = batched(redis, [("EXISTS", key_of(keys, one)) for one in doubtful])
    whole += [one for one, exists in zip(doubtful, singles, strict=True) if exists]
    ghosts += [one for one, exists in zip(doubtful, singles, strict=True) if not exists]
    return whole, ghosts


def key_of(keys: Keys, identity: bytes) -> bytes:
    """The key of its record."""
    return keys.name("").encode() + identity


def _insist(replies: Sequence[Any]) -> None:
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)


def records(redis: Redis, keys: Keys, identities: list[bytes], now: float) -> list[Process]:
    """The processes of these identities, whose hashes exist, without what they have in flight."""
    sizes = batched(redis, [("HSTRLEN", key_of(keys, one), INFO) for one in identities])
    _insist(sizes)
    readable = [one for one, size in zip(identities, sizes, strict=True) if number(size) <= MEMBER_LIMIT]
    unreadable = [
        Process(decode(one), error=f"its info holds {size} bytes; it was not read")
        for one, size in zip(identities, sizes, strict=True)
        if number(size) > MEMBER_LIMIT
    ]
    replies = batched(redis, [("HMGET", key_of(keys, one), *FIELDS) for one in readable])
    lives = batched(redis, [("PTTL", key_of(keys, one)) for one in readable])
    _insist([*replies, *lives])
    found = [
        _record(decode(one), fields, life, now) for one, fields, life in zip(readable, replies, lives, strict=True)
    ]
    return [*found, *unreadable]


def _record(identity: str, fields: Any, life: Any, now: float) -> Process:
    if isinstance(fields, Refused):
        return Process(identity, error=fields.reason)
    info, error = heartbeat.Info(), ""
    raw_info, busy, beat, quiet, concurrency, rss, rtt = fields
    if raw_info is None:
        error = "its record has no info"
    else:
        try:
            info = heartbeat.read_info(raw_info)
        except ValueError as problem:
            error = f"its info cannot be read: {problem}"
    host, pid = heartbeat.split_identity(identity)
    beat_at = plain(beat)
    numbers = {BUSY: busy, CONCURRENCY: concurrency, RSS: rss, RTT_US: rtt}
    told = {name: whole(raw) for name, raw in numbers.items()}
    odd = [name for name, raw in numbers.items() if raw is not None and told[name] is None]
    odd += [BEAT] if beat is not None and beat_at is None else []
    if odd and not error:
        error = f"its {odd[0]} is no number that a process writes"
    return Process(
        identity=identity,
        hostname=info.hostname or host,
        pid=info.pid if info.pid is not None else pid,
        tag=info.tag,
        version=info.version,
        runtime=info.runtime,
        started_at=info.started_at,
        beat=beat_at,
        busy=told[BUSY],
        quiet=word(quiet) == "true",
        concurrency=told[CONCURRENCY] or info.concurrency,  # 8.1.2 and later say it in the hash, older ones in info
        queues=info.queues,
        capsules=tuple((one.name, one.concurrency) for one in info.capsules),
        weights=info.told_weights,
        labels=info.labels,
        embedded=info.embedded,
        ttl_s=life // 1000 if isinstance(life, int) and life >= 0 else None,
        error=error,
        beat_age_s=None if BEAT in odd else _age(beat_at, life, now),
        rss_kb=told[RSS] or None,
        rtt_us=told[RTT_US],
        connections=info.connections,
    )


def _age(beat: float | None, life: Any, now: float) -> float | None:
    """Seconds since the beat; without one, since the beat that gave the record its TTL."""
    if beat is not None:
        return now - beat
    if isinstance(life, int) and 0 <= life <= TTL_MS:
        return (TTL_MS - life) / 1000
    return None


def with_work(redis: Redis, keys: Keys, processes: list[Process]) -> list[Process]:
    """The same with their jobs in flight; both names are looked at, the longer hash counts."""
    names = [(keys.work(one.identity), keys.workers(one.identity)) for one in processes]
    flat = [name for pair in names for name in pair]
    lengths = [number(reply) for reply in batched(redis, [("HLEN", name) for name in flat])]
    chosen: list[str] = []
    for index, pair in enumerate(names):
        new, old = lengths[2 * index], lengths[2 * index + 1]
        chosen.append(pair[0] if new >= old and new else pair[1] if old else "")
    by_name = dict(zip(flat, lengths, strict=True))
    wanted = [name for name in chosen if name]
    measured = batched(redis, [("MEMORY", "USAGE", name, "SAMPLES", 0) for name in wanted])
    small = {
        name
        for name, size in zip(wanted, measured, strict=True)
        if by_name[name] <= WORK_LIMIT and not (isinstance(size, int) and size > WORK_BYTES)
    }
    entries = dict(zip(sorted(small), batched(redis, [("HGETALL", name) for name in sorted(small)]), strict=True))
    lives = dict(zip(wanted, batched(redis, [("PTTL", name) for name in wanted]), strict=True))
    return [
        _working(process, name, by_name.get(name, 0), entries.get(name), lives.get(name))
        for process, name in zip(processes, chosen, strict=True)
    ]


def _working(process: Process, name: str, count: int, entries: Any, life: Any) -> Process:
    if not name:
        return process
    suffix = name.rpartition(":")[2]
    ttl = seconds_left(life)
    if not isinstance(granted(entries), list):
        unread = tuple(InFlight(f"#{index}", "", "", "", None) for index in range(min(count, WORK_LIMIT)))
        return replace(process, in_flight_key=suffix, in_flight=unread, in_flight_ttl_s=ttl)
    jobs = tuple(_in_flight(decode(thread), raw) for thread, raw in zip(entries[::2], entries[1::2], strict=True))
    return replace(process, in_flight_key=suffix, in_flight=jobs, in_flight_ttl_s=ttl)


def _in_flight(thread: str, raw: bytes) -> InFlight:
    try:
        work = heartbeat.read_work(thread, raw)
    except ValueError:
        return InFlight(thread, "", "", "", None)
    return InFlight(thread, work.queue, work.job.jid, work.job.shown_class, work.run_at, work.job.deaths(0.0))


def _with_processors(redis: Redis, keys: Keys, processes: list[Process]) -> list[Process]:
    """The same; those of our runtime with how many of their threads are there to run jobs."""
    names = [keys.about(one.identity) for one in processes if one.runtime == heartbeat.RUNTIME]
    sizes = batched(redis, [("HSTRLEN", name, heartbeat.THREADS) for name in names])
    small = [name for name, size in zip(names, sizes, strict=True) if 0 < number(size) <= ABOUT_LIMIT]
    replies = batched(redis, [("HGET", name, heartbeat.THREADS) for name in small])
    counts = {name: _processors(raw) for name, raw in zip(small, replies, strict=True)}
    return [replace(one, processors=counts.get(keys.about(one.identity))) for one in processes]


def _processors(raw: Any) -> int | None:
    """Those that run a job and those that wait for one."""
    try:
        found = codec.decode(raw)
    except (ValueError, TypeError):
        return None
    if not isinstance(found, dict):
        return None
    running, waiting = (whole(found.get(state), most=heartbeat.MOST_PID) for state in ("running", "waiting"))
    return None if running is None or waiting is None else running + waiting


def _recoverable(redis: Redis, keys: Keys, processes: list[Process]) -> list[Process]:
    """Those that keep what they took in a private list: our runtime by its index, Sidekiq Pro by its own set."""
    identities = [one.identity for one in processes]
    ours = batched(redis, [("HEXISTS", keys.index, one) for one in identities])
    pro = batched(redis, [("SISMEMBER", keys.super_processes, one) for one in identities])
    return [
        replace(process, reliable=number(mine) == 1 or number(theirs) == 1 or _says_so(process))
        for process, mine, theirs in zip(processes, ours, pro, strict=True)
    ]


def _says_so(process: Process) -> bool:
    """Our runtime's label; when its account in the index was closed, its jobs were taken back before."""
    return process.runtime == heartbeat.RUNTIME and heartbeat.RELIABLE in process.labels
