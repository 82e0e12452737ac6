"""Composes an examination of several Redis: files and host once, each Redis on its own and all at the same time."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from kiqdoctor.clock import Clock
from kiqdoctor.connection import UrlError, shown_url
from kiqdoctor.doctor.carry_out import carry_out
from kiqdoctor.doctor.judgement import Judgement
from kiqdoctor.doctor.plan import Plan
from kiqdoctor.doctor.recording import Recording
from kiqdoctor.doctor.report import Cost
from kiqdoctor.doctor.shards import Shard, examine_shards, same, still
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.tools import Host
from kiqdoctor.examining import examination
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.examination import Examined, Prepared
from kiqdoctor.probes.tree.tree import Tree

ALONE = ("replay", "record", "baseline_run", "web")
"""What is of one Redis: recordings, and a web UI."""


def several(asked: Asked, ready: Prepared, clock: Clock) -> tuple[Examined, Judgement]:
    """What was read as one examination, with the facts of the first Redis, and what the checks made of all.

    Raises:
        AskedError: an address that is none, or is named twice; what goes with one Redis only.
    """
    addresses = _addresses(asked)
    began = clock.monotonic()
    known, notes = _known(asked, ready.plan, clock)
    left_s = max(0.1, asked.timeout_s - (clock.monotonic() - began))
    rest = _rest(ready.plan, known)

    def look(address: str) -> Examined:
        one = replace(asked, redis=address, shards=(), timeout_s=left_s)
        with ExitStack() as stack:
            return stack.enter_context(examination.looked(one, rest, clock, known=known))

    with ThreadPoolExecutor(len(addresses)) as pool:
        seen = list(pool.map(look, addresses))
    shards = [Shard(str(one.recording.target.redis), one.recording.snapshot, one.unreachable) for one in seen]
    if twice := same(shards):
        raise AskedError(f"--redis names one Redis twice: {' and '.join(twice)}")
    decided = examination.suppressing(ready, seen[0].recording.snapshot)
    return _whole(seen, notes), examine_shards(ready.plan, shards, clock, ready.thresholds, decided)


def _addresses(asked: Asked) -> tuple[str, ...]:
    for field in ALONE:
        if getattr(asked, field) is not None:
            option = field.replace("_", "-")
            raise AskedError(f"--{option} goes with one --redis, and {1 + len(asked.shards)} are named")
    found = (str(asked.redis), *asked.shards)
    shown = [_shown(one) for one in found]
    if twice := [one for one in shown if shown.count(one) > 1]:
        raise AskedError(f"--redis names {twice[0]} twice")
    return found


def _shown(address: str) -> str:
    try:
        return shown_url(address, "--redis")
    except UrlError as error:
        raise AskedError(str(error)) from None


def _known(asked: Asked, plan: Plan, clock: Clock) -> tuple[Snapshot, list[str]]:
    """What is of none of them, read once."""
    tools: dict[type, Any] = {**examination.still(asked), Host: Host()}
    snapshot = carry_out(still(plan, asked.window_s), tools, {}, 0.0, clock, within_s=asked.timeout_s)
    return snapshot, examination.not_read(tools[Tree])


def _rest(plan: Plan, known: Snapshot) -> Plan:
    return replace(plan, probes=tuple(one for one in plan.probes if one.fact not in known.readings))


def _whole(seen: list[Examined], notes: list[str]) -> Examined:
    first = seen[0].recording
    named = ", ".join(str(one.recording.target.redis) for one in seen)
    recording = Recording(
        first.snapshot, replace(first.target, redis=named), first.recorded_at, first.version, _cost(seen)
    )
    said = dict.fromkeys([*notes, *(note for one in seen for note in one.notes)])
    return Examined(recording, all(one.unreachable for one in seen), tuple(said))


def _cost(seen: list[Examined]) -> Cost:
    """The bill of all of them together."""
    costs = [one.recording.cost for one in seen]
    slowest = max(costs, key=lambda one: one.slowest_ms)
    names = dict.fromkeys(name for one in costs for name in one.commands)
    return Cost(
        {name: sum(one.commands.get(name, 0) for one in costs) for name in names},
        sum(one.bytes_sent for one in costs),
        sum(one.bytes_received for one in costs),
        slowest.slowest,
        slowest.slowest_ms,
    )
