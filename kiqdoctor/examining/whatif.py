"""Composes what a change would do: reading or a recording, the checks' own arithmetic on changed facts, the formula."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import msgspec

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.examine import judge
from kiqdoctor.doctor.facts.database import Pools
from kiqdoctor.doctor.facts.engine import Thresholds
from kiqdoctor.doctor.facts.queues import Durations, JobCounts, Queues, Samples
from kiqdoctor.doctor.plan import plan
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Reading, Snapshot
from kiqdoctor.doctor.whatif import Change, Forecast, changed, forecast, unread
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.examination import looked, replayed
from kiqdoctor.examining.parts import every_check, every_probe

CHECKS: Final = ("RED003", "DBC001", "QUE004", "QUE020")  # the last two for their series of what waits and what ended


class Use(msgspec.Struct, frozen=True):
    """What one pool would be asked for at most, and what it has; None with the reason."""

    name: str
    peak: int | None
    limit: int | None
    why: str = ""


class Outlook(msgspec.Struct, frozen=True):
    """What a change would do."""

    change: Change
    pools: tuple[Use, ...]
    forecast: Forecast
    unread: str = ""  # why what waits could not be judged as a whole

    @property
    def status(self) -> int:
        """0 it fits, 1 something does not, 3 it cannot be told."""
        if any(one.never for one in self.forecast.queues) or any(_over(one) for one in self.pools):
            return 1
        told = not self.unread and all(one.drain_s is not None for one in self.forecast.queues)
        return 0 if told and all(one.peak is not None and one.limit is not None for one in self.pools) else 3


def _over(use: Use) -> bool:
    return use.peak is not None and use.limit is not None and use.peak > use.limit


def whatif(change: Change, asked: Asked, clock: Clock = SYSTEM) -> Outlook:
    """The outlook, from a recording where one is named."""
    checks = {one.id: one for one in every_check(()) if one.id in CHECKS}
    chosen = plan(checks.values(), every_probe(), (Queues, Samples, Durations, JobCounts))
    with ExitStack() as stack:
        seen = replayed(asked) if asked.replay else stack.enter_context(looked(asked, chosen, clock))
    snapshot = seen.recording.snapshot
    after = changed(snapshot, change)
    readings = {Thresholds: Reading(Thresholds()), **after.readings}
    after = Snapshot(readings, after.later, after.earlier)
    pools = (_redis(judge(checks["RED003"], after, clock)), *_databases(after))
    return Outlook(change, pools, forecast(snapshot, change), unread(snapshot, change))


def _redis(result: Result) -> Use:
    """RED003's own sum, in its own evidence."""
    seen = {one.label: one.value for finding in result.findings for one in finding.finding.evidence}
    seen |= {one.label: one.value for one in result.evidence}
    if result.outcome not in {Outcome.PASS, Outcome.FAIL} or "workers' peak" not in seen or "limit" not in seen:
        return Use("redis", None, None, result.reason or "RED003 says no number")
    return Use("redis", int(seen["workers' peak"]) + int(seen.get("web and others", 0)), int(seen["limit"]))


def _databases(snapshot: Snapshot) -> Iterator[Use]:
    """As DBC001 compares them: a process' threads with its pool."""
    pools = snapshot.get(Pools)
    for one in pools.all if isinstance(pools, Pools) else ():
        if not one.web:
            threads = None if one.threads is None or 0 in one.capsules else one.threads + sum(one.capsules)
            yield Use(f"database:{one.path}", threads, one.size, one.unresolved)
