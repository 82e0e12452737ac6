"""The Redis server: memory, clients by host and name against the limit, the slow log, what this view costs it."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Final

from textual.app import ComposeResult

from kiqdoctor.doctor.facts.live import SlowLog
from kiqdoctor.doctor.facts.redis import Clients, Server
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.chart import bar
from kiqdoctor.top.lines import Lines
from kiqdoctor.top.paint import Line, fitted
from kiqdoctor.top.panes.pane import Pane
from kiqdoctor.top.scene import Scene

MOST_GROUPS: Final = 20
MOST_CALLS: Final = 20
NEAR: Final = 0.8
FIELDS: Final = (
    ("role", "role"),
    ("connected replicas", "connected_slaves"),
    ("blocked clients", "blocked_clients"),
    ("rejected connections", "rejected_connections"),
    ("evicted keys", "evicted_keys"),
    ("eviction policy", "maxmemory_policy"),
    ("last background save", "rdb_last_bgsave_status"),
    ("append-only file", "aof_last_write_status"),
    ("operations a second", "instantaneous_ops_per_sec"),
    ("fragmentation", "mem_fragmentation_ratio"),
)
Part = Callable[[Any, Scene, int], Iterator[Line]]


class RedisPane(Pane):
    """One page."""

    label: ClassVar[str] = "Redis"
    key: ClassVar[str] = "0"
    facts: ClassVar[tuple[type, ...]] = (Server, Clients, SlowLog)

    def body(self) -> ComposeResult:
        """The page."""
        yield Lines()

    def draw(self, shown: Scene) -> Line:
        """Each part, or why it is missing."""
        self.query_one(Lines).draw(lambda width, _height: [*_lines(shown, width)])
        look = shown.look
        cost = (
            f"this refresh: {words.plural(look.round_trips, 'round trip')}, {look.took_ms:.0f} ms"
            if look and look.round_trips
            else ""
        )
        return [("", cost)]


def _lines(shown: Scene, width: int) -> Iterator[Line]:
    parts: tuple[tuple[type, Part], ...] = ((Server, _server), (Clients, _clients), (SlowLog, _slow))
    for kind, part in parts:
        reading = shown.reading(kind)
        if reading is None:
            yield [
                ("dim", f"{kind.__name__}: not read yet" if shown.live else f"{kind.__name__}: not in this recording")
            ]
        elif isinstance(reading.value, Refused):
            opens = f"; to settle it: {clean(reading.value.unlock, 400)}" if reading.value.unlock else ""
            yield [("warn", f"{kind.__name__} cannot be shown: {clean(reading.value.reason, 400)}{opens}")]
        elif isinstance(reading.value, kind):
            yield from part(reading.value, shown, width)
        yield []


def _server(server: Server, shown: Scene, width: int) -> Iterator[Line]:
    info = server.info
    used, limit, peak = (server.number(name) for name in ("used_memory", "maxmemory", "used_memory_peak"))
    kind = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version", "?")
    yield [("strong", f"{kind} {clean(version)}"), ("", f"  up {words.age(server.number('uptime_in_seconds'))}")]
    of = f" of {words.size(limit)}" if limit else ", no limit set"
    yield [
        ("dim", f"{'memory':<22}"),
        ("accent", bar(used or 0, limit or peak or 1, width // 4)),
        ("", f" {words.size(used)}{of}, peak {words.size(peak)}"),
    ]
    clients, most = server.number("connected_clients"), server.number("maxclients")
    near = clients is not None and most is not None and clients > NEAR * most
    said = f" {words.count(clients)} of {words.count(most)}{'  NEAR THE LIMIT' if near else ''}"
    yield [
        ("dim", f"{'clients':<22}"),
        ("bad" if near else "accent", bar(clients or 0, most or 1, width // 4)),
        ("bad" if near else "", said),
    ]
    for label, name in FIELDS:
        if name in info:
            yield [("dim", f"{label:<22}"), ("", clean(info[name]))]
    del shown


def _clients(clients: Clients, shown: Scene, width: int) -> Iterator[Line]:
    groups = Counter((client.host, client.name, client.library) for client in clients.all)
    blocked = Counter((client.host, client.name, client.library) for client in clients.all if client.blocked)
    yield [("strong", f"{words.plural(len(clients.all), 'client')} by host and name"), ("dim", "  ours left out")]
    for key, number in groups.most_common(MOST_GROUPS):
        host, name, library = key
        waits = f"  {blocked[key]} blocked" if blocked[key] else ""
        yield [
            ("", f"{number:>6}  {fitted(clean(host), 24)} {fitted(clean(name) or '(no name)', max(16, width // 4))}"),
            ("dim", f" {clean(library)}{waits}"),
        ]
    if len(groups) > MOST_GROUPS:
        yield [("dim", f"        and {len(groups) - MOST_GROUPS} groups more")]
    del shown


def _slow(log: SlowLog, shown: Scene, width: int) -> Iterator[Line]:
    yield [("strong", "slow log"), ("dim", f"  {words.plural(log.length, 'entry')} kept; arguments are not shown")]
    for call in log.calls[:MOST_CALLS]:
        client = f"  {call.name} {call.client}".rstrip()
        when, took = words.when(call.at, shown.now), words.age(call.took_us / 1e6)
        yield [
            ("", f"{when:>12}  {took:>7}  {fitted(call.command, max(24, width // 3))}"),
            ("dim", f" {words.plural(call.words, 'word')}{client}"),
        ]
    if not log.calls:
        yield [("good", "nothing slow")]
