"""What moves, at a glance: rates, depths and latencies as charts, the worst findings, Redis in one line."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult

from kiqdoctor.doctor.facts.live import Counters, Depths, Workers
from kiqdoctor.doctor.facts.queues import Marks
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.chart import MARK, Points, Spelling, bar, chart
from kiqdoctor.top.history import Numbers, rates
from kiqdoctor.top.lines import Lines
from kiqdoctor.top.paint import SEVERITIES, Line, fitted
from kiqdoctor.top.panes.doctor import Doctor
from kiqdoctor.top.panes.pane import Pane, unread
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.view import View

SPANS: Final = ((300.0, "5m"), (900.0, "15m"), (3600.0, "1h"))
LEAST_CHART: Final = 5  # lines of a chart: legend, three of plot, axis
FINDINGS: Final = 3
DEPLOYS: Final = 3  # that are named
LABEL: Final = 60  # characters of one
QUEUES: Final = 6
BAR_SHARE: Final = 3  # of the width


class Overview(Pane):
    """The first tab."""

    label: ClassVar[str] = "Overview"
    key: ClassVar[str] = "1"
    short: ClassVar[str] = "Over"
    facts: ClassVar[tuple[type, ...]] = (Counters, Depths, Workers, Server)
    helps: ClassVar[tuple[type, ...]] = (Marks,)
    keys: ClassVar[tuple[tuple[str, str], ...]] = (("+ -", "a longer or shorter span of the charts"),)

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.span = 0

    @classmethod
    def told(cls, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
        """Counters, as far as they do not count on by themselves."""
        counters = snapshot.get(Counters)
        if isinstance(counters, Counters):
            yield "failed in all", words.count(counters.failed)
        yield from unread("counters", counters)

    def body(self) -> ComposeResult:
        """One page."""
        yield Lines(wrap=False)

    def zoom(self, step: int) -> None:
        """A longer or shorter span."""
        self.span = max(0, min(self.span + step, len(SPANS) - 1))
        self.redraw()

    def draw(self, shown: Scene) -> Line:
        """Each part that can be drawn."""
        self.query_one(Lines).draw(lambda width, height: self._lines(shown, width, height))
        workers = shown.reading(Workers)
        if workers is None or not isinstance(workers.value, Workers):
            return []
        fleet = workers.value
        quiet = sum(process.quiet for process in fleet.processes)
        return [
            ("", f"{words.plural(len(fleet.processes), 'process')}, {fleet.busy} of {fleet.threads} threads busy"),
            ("warn" if quiet else "", f", {quiet} quiet" if quiet else ""),
        ]

    def _lines(self, shown: Scene, width: int, height: int) -> list[Line]:
        seconds, said = SPANS[self.span]
        samples = [one for one in shown.samples if shown.now - seconds <= one.at <= shown.now]
        foot = [*_findings(shown), *_redis(shown)]
        deploys = _deploys(shown, seconds)
        waits = [*_told(deploys, shown), *_latencies(shown, width)]
        room = max(2 * LEAST_CHART, height - len(foot) - len(waits) - 1)
        marks = [1 - (shown.now - at) / seconds for at, _ in deploys]
        return [*_charts(samples, seconds, said, width, room, marks), *waits, [], *foot]


def _deploys(shown: Scene, seconds: float) -> Sequence[tuple[float, str]]:
    """Those that were marked within the span, the oldest first."""
    reading = shown.reading(Marks)
    marks = reading.value if reading is not None else None
    every = marks.all if isinstance(marks, Marks) else ()
    return [(at, label) for at, label in every if shown.now - seconds <= at <= shown.now]


def _told(deploys: Sequence[tuple[float, str]], shown: Scene) -> list[Line]:
    """What the marks on the charts are, the newest first."""
    if not deploys:
        return []
    last = "; ".join(f"{clean(label, LABEL)} {words.when(at, shown.now)}" for at, label in deploys[: -DEPLOYS - 1 : -1])
    more = len(deploys) - DEPLOYS
    return [[("warn", MARK), ("strong", " deploys  "), ("", last), ("dim", f"; {more} more" if more > 0 else "")]]


def _charts(
    samples: Sequence[Numbers], seconds: float, span: str, width: int, height: int, marks: Sequence[float]
) -> list[Line]:
    """Four in two rows, or six in two rows where it is wide."""
    before = missing(samples, seconds)
    many = [
        _chart("processed/s", before + rates(samples, "processed"), words.rate),
        _chart("failed/s", before + rates(samples, "failed"), words.rate),
        _chart("enqueued", before + [one.enqueued for one in samples], words.count),
        _chart("busy", before + [one.busy for one in samples], words.count),
        _chart("slowest queue's latency", before + [one.latency for one in samples], words.age),
        _chart("retries", before + [one.retries for one in samples], words.count),
    ]
    across = 3 if width >= 150 else 2  # noqa: PLR2004 - where six charts have fifty cells each
    shown = many[: across * 2]
    each, tall = width // across - 1, max(LEAST_CHART, height // 2)
    found: list[Line] = []
    for start in (0, across):
        drawn = [
            chart(legend, values, each, tall, span=span, said=said, marks=marks)
            for legend, values, said in shown[start : start + across]
        ]
        found += [_beside(parts, each) for parts in zip(*drawn, strict=True)]
    return found


def _chart(name: str, values: Points, said: Spelling) -> tuple[Line, Points, Spelling]:
    known = [value for value in values if value is not None]
    now = said(known[-1]) if known and values[-1] is not None else "unknown"
    legend = [("strong", name), ("", f"  now {now}"), ("dim", f"  highest {said(max(known))}" if known else "")]
    return legend, values, said


def _beside(parts: Sequence[Line], width: int) -> Line:
    found: list[tuple[str, str]] = []
    for part in parts:
        left = width
        for style, text in part:
            cut = text[:left]
            found.append((style, cut))
            left -= len(cut)
        found.append(("", " " * (left + 1)))
    return found


def missing(samples: Sequence[Numbers], seconds: float) -> list[float | None]:
    """Unknown points for the time before the first sample, so that a chart's right end is now."""
    if len(samples) < 2:  # noqa: PLR2004 - no distance to know
        return []
    known = samples[-1].at - samples[0].at
    distance = max(known / (len(samples) - 1), 0.1)
    return [None] * max(int((seconds - known) / distance), 0)


def _latencies(shown: Scene, width: int) -> list[Line]:
    """The slowest queues, with one scale for all."""
    reading = shown.reading(Depths)
    if reading is None or not isinstance(reading.value, Depths):
        return []
    depths = reading.value
    waiting = [queue for queue in depths.queues if queue.size]
    slow = sorted(waiting, key=lambda queue: (queue.oldest_at or depths.at, -queue.size))[:QUEUES]
    if not slow:
        return [[("strong", "latency by queue"), ("good", "  nothing waits")]]
    waits = [max(0.0, depths.at - queue.oldest_at) if queue.oldest_at else 0.0 for queue in slow]
    top = max(*waits, 1.0)
    long = width // BAR_SHARE
    lines: list[Line] = [
        [
            ("strong", "latency by queue"),
            ("dim", f"  0 to {words.age(top)}; {words.plural(len(waiting), 'queue')} with jobs"),
        ]
    ]
    for queue, wait in zip(slow, waits, strict=True):
        known = words.age(wait) if queue.oldest_at else "unknown"
        lines.append(
            [
                ("", f"{fitted(clean(queue.name), 18)} {known:>7} "),
                ("accent", bar(wait, top, long)),
                ("", f" {words.count(queue.size)} waiting"),
                ("warn", "  paused" if queue.paused else ""),
            ]
        )
    return lines


def _findings(shown: Scene) -> list[Line]:
    if shown.diagnosis is None:
        return [[("dim", "doctor: the first examination is under way")]] if not shown.target.recorded else []
    findings = shown.diagnosis.findings
    if not findings:
        unknown = len(shown.diagnosis.unknown)
        return [[("good", "doctor: no findings"), ("warn", f", {unknown} checks unknown" if unknown else "")]]
    lines: list[Line] = [
        [
            (SEVERITIES[one.severity.value], one.severity.value.upper()),
            ("", f" {clean(one.finding.title)}"),
            ("dim", f"  {result.check.id}"),
        ]
        for result, one in findings[:FINDINGS]
    ]
    more = len(findings) - FINDINGS
    return [*lines, *([[("dim", f"and {more} more: tab {Doctor.key}")]] if more > 0 else [])]


def _redis(shown: Scene) -> list[Line]:
    reading = shown.reading(Server)
    if reading is None or not isinstance(reading.value, Server):
        return []
    server = reading.value
    info = server.info
    clients, limit = server.number("connected_clients"), server.number("maxclients")
    used, peak, most = (server.number(name) for name in ("used_memory", "used_memory_peak", "maxmemory"))
    near = clients is not None and limit is not None and clients > 0.8 * limit
    look = shown.look
    trip = f", round trip {look.took_ms / look.round_trips:.1f} ms" if look is not None and look.round_trips else ""
    kind = "Valkey" if "valkey_version" in info else "Redis"
    return [
        [
            (
                "strong",
                f"{kind} {clean(info.get('valkey_version') or info.get('redis_version', 'of unknown version'))}",
            ),
            ("", f"  up {words.age(server.number('uptime_in_seconds'))}"),
            ("", f", memory {words.size(used)} (peak {words.size(peak)}"),
            ("", f" of {words.size(most)})" if most else ", no limit)"),
            (
                "warn" if near else "",
                f", clients {words.count(clients)} of {words.count(limit)}{' NEAR THE LIMIT' if near else ''}",
            ),
            ("", trip),
        ]
    ]
