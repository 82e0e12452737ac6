"""Composes remedies: the doctor is asked, steps are planned, exported, carried out, and the doctor is asked again."""

import os
import secrets
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Final

from kiqdoctor import saving
from kiqdoctor.actions.applying import Applying
from kiqdoctor.actions.applying import Outcome as Came
from kiqdoctor.actions.exact import Export, ExportError, Leaving, Step, dump, load
from kiqdoctor.actions.stopping import stop
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.connection import READ_ONLY, Address, ConnectError, ReadOnlyConnection
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.report import Outcome, Report
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.examination import resolved
from kiqdoctor.examining.remedies import BY_NAME, CHECKS, steps
from kiqdoctor.examining.remedies.leftovers import idle
from kiqdoctor.examining.reporting import examined
from kiqdoctor.probes.door import Door
from kiqdoctor.reading import whole
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean

_NAME_IT: Final = "not carried out unless it is named: kiqdoctor fix {} --apply"
MOST_BYTES: Final = 256 * 1024 * 1024


class PlanningConnection(ReadOnlyConnection):
    """Reads also what an export holds of a key: its bytes, and when it ends."""

    allowed: ClassVar[frozenset[str]] = READ_ONLY | {"DUMP", "LPOS", "PEXPIRETIME"}


@dataclass(frozen=True, slots=True)
class Taken:
    """A step with what came of it: ``planned``, ``done``, ``stopped`` or ``nothing-to-do``; ``why`` in words."""

    step: Step
    state: str = "planned"
    why: str = ""


@dataclass(frozen=True, slots=True)
class Fixed:
    """The outcome of one run; ``status`` as CONTRACT.md has it."""

    target: str
    steps: tuple[Taken, ...] = ()
    export: Path | None = None
    applied: bool = False
    status: int = 0
    notes: tuple[str, ...] = ()


def fix(asked: Asked, *, apply: bool, export: Path, named: bool = True, clock: Clock = SYSTEM) -> Fixed:
    """Plan, and where that is asked for, carry out and look again. Without ``apply`` nothing is written anywhere.

    ``named``: the checks were; where they were not, what deletes others' data or ends a process is left as planned.

    Raises:
        AskedError: the export cannot be written, or nobody said which Redis is to be changed.
    """
    address = resolved(asked.redis, os.environ, None)
    if apply and not address.named:
        raise AskedError("--apply changes a Redis: name it, with --redis URL or REDIS_URL")
    report, seen = examined(asked, clock)
    lacking = _lacking(report)
    try:
        planned = tuple(_planned(report, seen, address, asked.namespace))
    except (ConnectError, RefusalError) as error:
        return Fixed(address.shown, status=3, notes=(*lacking, clean(str(error))))
    if (why := _unreached(seen)) and not planned:
        return Fixed(address.shown, status=3, notes=(*lacking, why))
    by_hand = _by_hand(report, planned)
    notes = (*lacking, *by_hand)
    kept = (
        ()
        if named
        else tuple(Taken(one, "planned", _NAME_IT.format(one.check)) for one in planned if one.check in BY_NAME)
    )
    doing = tuple(one for one in planned if named or one.check not in BY_NAME)
    if not apply or not doing:
        status = 1 if planned or (apply and by_hand) else 3 if lacking else 0
        shown = tuple(map(Taken, planned)) if not apply else kept
        return Fixed(address.shown, shown, status=status, notes=notes)
    token = secrets.token_hex(8)
    _exported(export, Export(token, address.shown, asked.namespace, doing))
    with closing(Applying(address, asked.namespace, token, clock)) as applying:
        taken = (*carried_out(doing, applying, lambda one: _left(one, address, asked.namespace, clock)), *kept)
    return _looked_again(asked, report, Fixed(address.shown, taken, export, applied=True, notes=notes), clock)


def _left(leaving: Leaving, address: Address, namespace: str | None, clock: Clock) -> Came:
    """A worker that is to end: its records say when it is idle."""
    connection = ReadOnlyConnection(address, name="kiqdoctor-fix")
    try:
        connection.open()
        with closing(connection):
            found = stop(leaving, idle(leaving, Door(connection, namespace)), clock)
    except (ConnectError, RefusalError) as error:
        return Came(why=clean(str(error)))
    return Came(int(found.ended), why="" if found.ended else found.why)


def _unreached(seen: Snapshot) -> str:
    found = seen.get(Connection)
    if not isinstance(found, Connection):
        return "no Redis was examined"
    return clean(f"{found.failed_step}: {found.error}" if found.failed_step else found.broken)


def _lacking(report: Report) -> tuple[str, ...]:
    return tuple(
        f"{one.check.id}: {clean(one.reason or 'not known')}"
        for one in report.results
        if one.outcome is Outcome.UNKNOWN
    )


def _planned(report: Report, seen: Snapshot, address: Address, namespace: str | None) -> list[Step]:
    found = {one.check.id: [each.finding for each in one.findings] for one in report.results if one.findings}
    if not found:
        return []
    connection = PlanningConnection(address, name="kiqdoctor-fix")
    connection.open()
    with closing(connection):
        door = Door(connection, namespace, MOST_BYTES)
        order = sorted(found, key=lambda check: (check == "PRO002", check))  # ghosts go last: their jobs go first
        return [step for check in order for step in steps(check, found[check], seen, door)]


def _by_hand(report: Report, planned: tuple[Step, ...]) -> tuple[str, ...]:
    """Findings for which no step is safe, as where a death is not proven or a list is too long."""
    told = {(one.check, one.subject) for one in planned}
    return tuple(
        f"{one.check.id}: {clean(each.finding.title)}: no step by machine is safe here"
        for one in report.results
        for each in one.findings
        if (one.check.id, each.finding.subject) not in told
    )


def _exported(file: Path, export: Export) -> None:
    try:
        saving.save(file, dump(export), private=True, new=True)
    except OSError as error:
        raise AskedError(f"cannot write {clean(str(file))}: {error.strerror}; nothing was changed") from None


def _never(leaving: Leaving) -> Came:
    return Came(why=f"pid {leaving.pid} is not ended here")


def carried_out(
    planned: tuple[Step, ...], applying: Applying, leave: Callable[[Leaving], Came] = _never
) -> list[Taken]:
    """What came of each; once Redis does not answer nothing more is tried."""
    taken, number, away = [], 0, ""
    for step in planned:
        changed, why = 0, away
        for change in step.changes:
            number += 1
            if away:
                continue
            outcome = applying.carry_out(change, number)
            changed += outcome.changed
            why = why or outcome.why
            away = outcome.why if outcome.away else ""
        if step.leaving is not None and not away:
            outcome = leave(step.leaving)
            changed, why = outcome.changed, outcome.why
        why = why or ("" if changed else "what it is about has gone on since")
        taken.append(Taken(step, "stopped" if why else "done", why))
    return taken


def _looked_again(asked: Asked, before: Report, fixed: Fixed, clock: Clock) -> Fixed:
    again, _ = examined(asked, clock)
    told = {one.step.check for one in fixed.steps}
    lacking = _lacking(again)
    left = {one.fingerprint: one for result in again.results if result.check.id in told for one in result.findings}
    known = {one.fingerprint for one in before.reported}
    notes = tuple(
        f"{'still there' if mark in known else 'new'}: {clean(one.finding.title)}" for mark, one in left.items()
    )
    stopped = any(one.state == "stopped" for one in fixed.steps)
    status = 1 if stopped or left else 3 if lacking else 0
    notes = tuple(dict.fromkeys((*fixed.notes, *lacking, *notes)))
    return Fixed(fixed.target, fixed.steps, fixed.export, applied=True, status=status, notes=notes)


def undo(file: Path, asked: Asked, clock: Clock = SYSTEM) -> Fixed:
    """Take back what a run of ``fix`` did, the last first; what went on since is left alone.

    Raises:
        AskedError: the file cannot be read, is none of ours, or another Redis is meant.
    """
    try:
        export = load(whole(file))
    except (OSError, ExportError) as error:
        raise AskedError(f"{clean(str(file))}: {error.strerror if isinstance(error, OSError) else error}") from None
    address = resolved(asked.redis, os.environ, None)
    if (address.shown, asked.namespace) != (export.target, export.namespace):
        where = f"{clean(export.target)}" + (f", namespace {clean(export.namespace)}" if export.namespace else "")
        raise AskedError(f"{clean(str(file))} is of {where}: name that Redis, with --redis and --namespace")
    numbered, number = [], 0
    for step in export.steps:
        numbered.append((step, number))
        number += len(step.changes)
    with closing(Applying(address, asked.namespace, export.token, clock)) as applying:
        taken = [_undone(step, first, applying) for step, first in reversed(numbered)]
    status = int(any(one.state == "stopped" for one in taken))
    return Fixed(address.shown, tuple(taken), file, applied=True, status=status)


def _undone(step: Step, first: int, applying: Applying) -> Taken:
    if step.leaving is not None:
        return Taken(step, "stopped", "a process that ended is not started again by machine")
    numbers = range(first + len(step.changes), first, -1)
    outcomes = [applying.undo(step.changes[number - first - 1], number) for number in numbers]
    why = next((one.why for one in outcomes if one.why), "")
    if not why and any(one.left for one in outcomes):
        why = "part of it has gone on since, and is left alone"
    changed = sum(one.changed for one in outcomes)
    return Taken(step, "stopped" if why else "done" if changed else "nothing-to-do", why)


__all__ = ["CHECKS", "Fixed", "Taken", "carried_out", "fix", "undo"]
