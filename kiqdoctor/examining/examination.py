"""Composes one examination: targets, tools, plan, reading, judging, report."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import field, replace
from types import MappingProxyType
from typing import Any

from kiqdoctor.clock import Clock
from kiqdoctor.connection import (
    BETWEEN_TRIES,
    TRIES,
    Address,
    Bill,
    ConnectError,
    ReadOnlyConnection,
    UrlError,
    resolve_url,
)
from kiqdoctor.doctor import acl, pack
from kiqdoctor.doctor.carry_out import STEPS, carry_out
from kiqdoctor.doctor.causes import link
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.contain import CrashError, contained
from kiqdoctor.doctor.examine import NOTHING_TURNED, examine
from kiqdoctor.doctor.facts.code import Ignores
from kiqdoctor.doctor.facts.engine import Thresholds
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.plan import LIVE_GIVEN, Plan, halves, matches, plan, sides
from kiqdoctor.doctor.recording import Recording
from kiqdoctor.doctor.report import Cost, Result, Target
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.doctor.suppressions import Suppression, in_place
from kiqdoctor.doctor.tools import Application, Doorstep, Host, Pack, Redis, Settings, Web
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.configuration import Configuration
from kiqdoctor.examining.decisions import decided
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.parts import every_check, every_probe
from kiqdoctor.examining.recordings import LIVE_LEFT_OUT, STATIC_LEFT_OUT, halved, loaded, remembered
from kiqdoctor.examining.visits import web
from kiqdoctor.probes.door import ClosedDoor, Door
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean
from kiqdoctor.version import __version__

TRANSIENT = frozenset({"sentinel", "tcp", "dns", "loading"})  # steps that a restart explains: worth another try
SOURCES = (".py", ".rb", ".ru", ".rake")
CLIENT_NAME = "kiqdoctor"
REFUSED_SHOWN = 5  # paths that were not read
CONNECTING = 20.0  # seconds for connecting, all tries together, and the first reply
MOST_BYTES = 64 * 1024 * 1024  # that one reading of an examination takes from Redis
NOTHING_KNOWN = Snapshot()


@dataclass(frozen=True, slots=True)
class Prepared:
    """What will be examined, and what people decided about it, settled before anything is read."""

    plan: Plan
    thresholds: Thresholds = NOTHING_TURNED
    suppressions: tuple[Suppression, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)  # of every check there is, its id by id and by name


def prepared(asked: Asked) -> Prepared:
    """What was asked for, as it would be carried out.

    Raises:
        AskedError: a selector that fits no check, or a configuration that decides what cannot be.
    """
    checks, readers = every_check(asked.checks), every_probe()
    thresholds, suppressions = decided(asked.configuration, checks, readers, asked.path)
    for key, selectors in (("select", asked.select), ("ignore", asked.ignore), ("require", asked.require)):
        for selector in selectors:
            if not any(matches(check, selector) for check in checks):
                raise _unmatched(asked.configuration, key, selector)
    also = [kind for one in suppressions if one.while_ for kind in one.while_.kinds]
    kinds = halves(readers)
    selected = [check for check in checks if _selected(check, asked, kinds)]
    if any(sides(check, kinds).static for check in selected):
        also.append(Ignores)
    names = {word: check.id for check in checks for word in (check.id, check.name)}
    return Prepared(plan(selected, readers, also), thresholds, suppressions, names)


def _unmatched(configuration: Configuration, key: str, selector: str) -> AskedError:
    """Where the file says it, its line is told."""
    text = f"no check has the id, prefix, name or category {selector!r}; see `kiqdoctor list`"
    if selector in ",".join(configuration.words(key)):
        return configuration.error(text, key)
    return AskedError(text)


def _selected(check: Check, asked: Asked, kinds: Mapping[type, bool]) -> bool:
    side = sides(check, kinds)
    if (asked.static and not side.static) or (asked.live and not side.live):
        return False
    if any(matches(check, selector) for selector in asked.ignore):
        return False
    if check.preview:
        return any(selector in {check.id, check.name} for selector in asked.select)
    return not asked.select or any(matches(check, selector) for selector in asked.select)


@dataclass(frozen=True, slots=True)
class Examined:
    """A snapshot with where it came from and what it cost."""

    recording: Recording
    unreachable: bool
    notes: tuple[str, ...] = ()


def judged(ready: Prepared, snapshot: Snapshot, clock: Clock) -> tuple[Result, ...]:
    """What the checks make of a snapshot, with the numbers and the suppressions that people decided."""
    return link(examine(ready.plan.checks, snapshot, clock, ready.thresholds, suppressing(ready, snapshot)))


def suppressing(ready: Prepared, snapshot: Snapshot) -> tuple[Suppression, ...]:
    """What people decided, in the configuration and in comments beside the source."""
    comments = snapshot.get(Ignores)
    found = in_place(comments, ready.names) if isinstance(comments, Ignores) else ()
    return (*ready.suppressions, *found)


def reads_redis(asked: Asked, chosen: Plan) -> bool:
    """Whether this plan asks a Redis anything, be it only whether it is there."""
    given = any(need.kind in LIVE_GIVEN for check in chosen.checks for need in check.needs)
    return not asked.static and (given or any(probe.live for probe in chosen.probes))


def withheld(asked: Asked) -> frozenset[type]:
    """The tools that an examination which was so asked for is not given."""
    live: set[type] = {Redis, Doorstep, Host, Web} if asked.static else set()
    static: set[type] = {Application, Tree} if asked.live or asked.path is None else set()
    return frozenset(live | static | ({Web} if asked.web is None else set()))


def smallest(chosen: Plan, asked: Asked) -> str:
    """The smallest ACL rule for what this plan reads."""
    if not reads_redis(asked, chosen):
        return acl.rule((), reads_redis=False)
    database = 0 if asked.embedded else resolved(asked.redis, os.environ, asked.configured_redis).database
    return acl.rule(chosen.made(withheld(asked)), reads_redis=True, database=database, namespace=asked.namespace)


@contextmanager
def looked(
    asked: Asked,
    chosen: Plan,
    clock: Clock,
    more: Mapping[type, Any] = MappingProxyType({}),
    most: int = MOST_BYTES,
    known: Snapshot = NOTHING_KNOWN,
) -> Iterator[Examined]:
    """Read the plan's facts from the real world; ``more`` tools, and the bytes that one reading may take at most.

    What is ``known`` already is not read again.
    """
    began = clock.monotonic()
    with ExitStack() as stack:
        notes: tuple[str, ...] = ()
        embedded = asked.embedded
        if embedded:
            from kiqdoctor.examining.embedded import addressed

            asked, notes = addressed(asked, stack)
        tools = {**still(asked), **more}
        given: dict[type, Any] = {kind: reading.value for kind, reading in known.readings.items()}
        address = resolved(asked.redis, os.environ, asked.configured_redis) if reads_redis(asked, chosen) else None
        bill, door = Bill(), None
        target = Target(
            redis=address.shown if address else None,
            namespace=asked.namespace,
            path=str(asked.path.resolve()) if asked.path and not asked.live else None,
        )
        earlier = remembered(asked, target, clock.now())
        if address is not None:
            connection, outcome = connect(address, clock, min(CONNECTING, asked.timeout_s))
            if connection is not None:
                stack.callback(connection.close)
                bill = connection.bill
                door = Door(connection, asked.namespace, most * (STEPS + 1 if asked.window_s else 1))
                tools[Redis], tools[Doorstep] = door, connection
            else:
                reason = f"Redis at {address.shown} could not be reached ({outcome.failed_step}): {outcome.error}"
                unlock = "a Redis that answers: --redis URL"
                tools[Redis] = ClosedDoor(reason, unlock, asked.namespace)
                tools[Doorstep] = Refused(reason, unlock)
            tools[Host] = Host()
            given[Connection] = outcome = replace(outcome, embedded=embedded)
        else:
            tools |= {Redis: LIVE_LEFT_OUT, Doorstep: LIVE_LEFT_OUT, Host: LIVE_LEFT_OUT}
            given[Connection] = LIVE_LEFT_OUT
        left_s = asked.timeout_s - (clock.monotonic() - began)
        snapshot = replace(carry_out(chosen, tools, given, asked.window_s, clock, within_s=left_s), earlier=earlier)
        snapshot = replace(snapshot, readings={**snapshot.readings, **known.readings})
        notes = (*notes, *not_read(tools.pop(Tree)))  # nobody asks it again: its syntax trees may go
        if door is not None and door.lost:
            snapshot = snapshot.with_(replace(outcome, broken=door.lost))
        cost = Cost(dict(bill.commands), bill.bytes_sent, bill.bytes_received, bill.slowest, bill.slowest_ms)
        yield Examined(Recording(snapshot, target, clock.now(), __version__, cost), _unreachable(snapshot), notes)


def still(asked: Asked) -> dict[type, Any]:
    """The tools that look at no Redis and no process."""
    application = _application(asked)
    return {
        Web: LIVE_LEFT_OUT if asked.static else web(asked),
        Settings: Settings(asked.redis_limit, asked.db_limit, asked.show_args, asked.require, asked.deep),
        Application: application,
        Tree: Tree(application.root) if isinstance(application, Application) else application,
        Pack: Pack(pack.home()),
    }


def resolved(option: str | None, environ: Mapping[str, str], configured: str | None) -> Address:
    """The environment's address goes before the configuration's."""
    try:
        address = resolve_url(option, environ)
        return address if address.named or not configured else resolve_url(configured, {})
    except UrlError as error:
        raise AskedError(str(error)) from None


def not_read(tree: Tree | Absent) -> list[str]:
    """What the application's files do not tell, because they were not followed or not read."""
    refused = tree.refused if isinstance(tree, Tree) else ()
    if not refused:
        return []
    named = "; ".join(f"{clean(path)}: {reason}" for path, reason in refused[:REFUSED_SHOWN])
    more = f"; and {len(refused) - REFUSED_SHOWN} more" if len(refused) > REFUSED_SHOWN else ""
    return [f"not read of the application: {named}{more}"]


def _application(asked: Asked) -> Application | Absent:
    if asked.live:
        return STATIC_LEFT_OUT
    if asked.path is None:
        return Absent("no application was given: name its PATH")
    return Application(asked.path, asked.python)


Connected = tuple[ReadOnlyConnection | None, Connection]


def connect(address: Address, clock: Clock, within_s: float = CONNECTING) -> Connected:
    """The open connection, or None with the step that failed after its tries.

    What takes longer, as a name server that is silent, is left behind in its thread.
    """
    late = threading.Event()
    try:
        connected: Connected = contained(lambda: _tried(address, clock, late), within_s)
    except CrashError as error:
        late.set()
        return None, Connection(address.shown, "connecting", str(error), named=address.named)
    return connected


def _tried(address: Address, clock: Clock, late: threading.Event) -> Connected:
    for number in range(1, TRIES + 1):
        connection = ReadOnlyConnection(address, name=CLIENT_NAME)
        try:
            connection.open()
        except ConnectError as error:
            if error.step in TRANSIENT and number < TRIES and not late.is_set():
                clock.sleep(BETWEEN_TRIES)
                continue
            said = Connection(address.shown, error.step, str(error), number, address.named)
            return None, replace(said, loading_s=error.loading_s)
        if late.is_set():
            connection.close()  # nobody waits for it any more
        return connection, Connection(connection.address.shown, tries=number, named=address.named)
    raise AssertionError("the last try returns")


def _unreachable(snapshot: Snapshot) -> bool:
    connection = snapshot.get(Connection)
    return isinstance(connection, Connection) and bool(connection.failed_step) and connection.named


def replayed(asked: Asked) -> Examined:
    """A saved examination in place of the real world."""
    file = asked.replay
    assert file is not None  # noqa: S101 - the caller asked for it
    recording = loaded(file)
    target = Target(recording.target.redis, recording.target.namespace, recording.target.path, str(file))
    snapshot = halved(recording.snapshot, asked)
    if asked.baseline_run:
        began = min((one.at for one in snapshot.readings.values() if one.at), default=recording.recorded_at)
        snapshot = replace(snapshot, earlier=remembered(asked, recording.target, began))
    changed = Recording(snapshot, target, recording.recorded_at, recording.version, recording.cost)
    return Examined(changed, _unreachable(snapshot))


def beside(seen: Examined, asked: Asked, chosen: Plan, clock: Clock) -> Examined:
    """What was recorded live, with the application's files as they are at PATH in place of those of then.

    So a production's recording judges a pull request's tree. A folder without source changes nothing.
    """
    application = _application(asked)
    assert isinstance(application, Application)  # noqa: S101 - the caller asked for its path
    tree = Tree(application.root)
    if not tree.files(*SOURCES):
        return seen
    files = Plan(chosen.checks, tuple(probe for probe in chosen.probes if not probe.live))
    tools: dict[type, Any] = {
        Application: application,
        Tree: tree,
        Pack: Pack(pack.home()),
        Settings: Settings(asked.redis_limit, asked.db_limit, asked.show_args, asked.require, asked.deep),
    }
    then, read = seen.recording.snapshot, {probe.fact for probe in files.probes}
    needs = {need.kind for probe in files.probes for need in probe.needs} - read - set(tools)
    now = carry_out(files, tools, {kind: then.get(kind) for kind in needs}, 0.0, clock, within_s=asked.timeout_s)
    facts = {kind: reading for kind, reading in now.readings.items() if kind in read}
    snapshot = replace(then, readings={**then.readings, **facts})
    target = replace(seen.recording.target, path=str(application.root.resolve()))
    note = "the application's files are those of PATH, as they are now, and everything else is as it was recorded"
    recording = replace(seen.recording, snapshot=snapshot, target=target)
    return replace(seen, recording=recording, notes=(*seen.notes, note, *not_read(tree)))
