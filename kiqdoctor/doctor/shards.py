"""Several Redis in one report: each is judged on its own, and what was found says of which it is."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.causes import link
from kiqdoctor.doctor.examine import completed, judge, watched, watching
from kiqdoctor.doctor.facts.deployment import Deployment, Schedules
from kiqdoctor.doctor.facts.engine import Fate, Suppressed, Suppressions, Thresholds
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.gate import broke_off
from kiqdoctor.doctor.judgement import Judgement, Part
from kiqdoctor.doctor.plan import LIVE_GIVEN, Plan
from kiqdoctor.doctor.probe import Probe
from kiqdoctor.doctor.report import Reported, Result
from kiqdoctor.doctor.snapshot import Absent, Reading, Snapshot
from kiqdoctor.doctor.suppressions import Suppression, apply
from kiqdoctor.doctor.tools import Doorstep, Redis
from kiqdoctor.doctor.verdict import Evidence, Finding
from kiqdoctor.records import dataclass

UNSAID: Final = Absent("files do not say to which of several Redis this belongs")
"""Of the processes and schedules that the application's files describe."""

_FATES: Final = (Fate.HOLDS, Fate.UNTOLD, Fate.UNJUDGED, Fate.REFUTED, Fate.UNUSED)
"""Of a decision's fates in several Redis the first of these is what became of it."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One Redis: its address without secrets, and what was read with it."""

    address: str
    snapshot: Snapshot
    unreachable: bool = False


def of_redis(probes: Sequence[Probe]) -> frozenset[type]:
    """The facts that one Redis tells, or that are read with what it tells."""
    return _made_with({Redis, Doorstep}, probes) | LIVE_GIVEN


def _made_with(kinds: set[type], probes: Sequence[Probe]) -> frozenset[type]:
    """The facts whose probes need one of these kinds, or such a fact; probes come in the order of what they need."""
    found: set[type] = set()
    for one in probes:
        if any(need.kind in kinds | found for need in one.needs):
            found.add(one.fact)
    return frozenset(found)


def still(plan: Plan, window_s: float) -> Plan:
    """What is read once for all of them: neither of one Redis nor over a window."""
    moving = {one.fact for one in plan.ending} if window_s else set()
    apart = moving | _made_with({Redis, Doorstep, *LIVE_GIVEN, *moving}, plan.probes)
    return Plan(plan.checks, tuple(one for one in plan.probes if one.fact not in apart))


def _judgeable(snapshot: Snapshot) -> Snapshot:
    """What the checks of one Redis are judged by, where there are others."""
    kinds: tuple[type, ...] = (Deployment, Schedules)
    unsaid = {kind: Reading(UNSAID) for kind in kinds if kind in snapshot.readings}
    return replace(snapshot, readings={**snapshot.readings, **unsaid})


def _run_id(shard: Shard) -> str:
    server = shard.snapshot.get(Server)
    return server.info.get("run_id", "") if isinstance(server, Server) else ""


def _database(shard: Shard) -> int:
    number = shard.address.rpartition("=" if "?db=" in shard.address else "/")[2]
    return int(number) if number.isdigit() else 0


def same(shards: Sequence[Shard]) -> tuple[str, ...]:
    """Two addresses of one Redis, if there are such: it would be told of twice."""
    first: dict[tuple[str, int], str] = {}
    for one in shards:
        key = (_run_id(one), _database(one))
        if key[0] and first.setdefault(key, one.address) != one.address:
            return first[key], one.address
    return ()


def examine_shards(
    plan: Plan,
    shards: Sequence[Shard],
    clock: Clock,
    thresholds: Thresholds,
    suppressions: Sequence[Suppression] = (),
) -> Judgement:
    """Judge every check once for each Redis; what needs nothing of a Redis once."""
    redis = of_redis(plan.probes)
    first, last = watching(plan.checks)
    apart = [check for check in first if any(need.kind in redis for need in check.needs)]
    shared = [check for check in first if check not in apart]
    whole = [completed(plan.checks, _judgeable(one.snapshot), thresholds) for one in shards]
    once = completed(plan.checks, shards[0].snapshot, thresholds)
    raw = [tuple(judge(check, each, clock) for check in apart) for each in whole]
    told = [_alike(each) for each in zip(*raw, strict=True)]
    marked = [
        tuple(_marked(result, shard.address, alike) for result, alike in zip(results, told, strict=True))
        for shard, results in zip(shards, raw, strict=True)
    ]
    common, fates = apply(suppressions, [judge(check, once, clock) for check in shared], once, clock.now())
    came, became = [], [fates]
    for results, snapshot in zip(marked, whole, strict=True):
        silenced, each = apply(suppressions, results, snapshot, clock.now())
        came.append(silenced)
        became.append(each)
    judged = [{check.id for check in shared}, *({check.id for check in apart} for _ in shards)]
    common = (*common, *watched(last, once, _fates(became, judged), clock))
    linked = [link((*results, *common)) for results in came]
    count = len(apart)
    parts = [
        Part(results[:count], one.address, one.unreachable, broke_off(one.snapshot))
        for one, results in zip(shards, linked, strict=True)
    ]
    return Judgement(tuple(parts), linked[0][count:])


def _alike(results: Sequence[Result]) -> frozenset[Finding]:
    """Findings about a place in the application's files that every Redis gives alike: they are of none of them."""
    found = [{one.finding for one in result.findings if one.finding.location} for result in results]
    return frozenset(set.intersection(*found))


def _marked(result: Result, address: str, alike: frozenset[Finding]) -> Result:
    """The same, saying of which Redis it is."""
    findings = tuple(one if one.finding in alike else _named(one, address) for one in result.findings)
    evidence = tuple(
        replace(one, source=f"{address}, {one.source}" if one.source else address) for one in result.evidence
    )
    reason = f"{address}: {result.reason}" if result.reason else result.reason
    return replace(result, findings=findings, evidence=evidence, reason=reason)


def _named(one: Reported, address: str) -> Reported:
    evidence = (Evidence("Redis", address, "--redis"), *one.finding.evidence)
    finding = replace(one.finding, title=f"{address}: {one.finding.title}", evidence=evidence)
    return replace(one, finding=finding, fingerprint=f"{one.fingerprint}:{address}", redis=address)


def _fates(became: Sequence[Suppressions], judged: Sequence[set[str]]) -> Suppressions:
    """What became of each decision: it is not needed only where it was needed nowhere."""
    found = []
    for fates in zip(*(one.all for one in became), strict=True):
        able = [fate for fate, checks in zip(fates, judged, strict=True) if fate.check in checks] or list(fates[:1])
        found.append(_fate(able))
    return Suppressions(tuple(found))


def _fate(fates: Sequence[Suppressed]) -> Suppressed:
    order = {fate: number for number, fate in enumerate(_FATES)}
    chosen = min(fates, key=lambda one: order.get(one.fate, -1))
    return replace(chosen, matched=sum(one.matched for one in fates))
