"""The runtime beside its peers, in one run: ``python tests/benchmarks/runtime.py``.

Every contender that is installed drains the same jobs with ten threads in one process, each time on a fresh Redis
(loopback TCP, no persistence), counted from outside. ``floor`` is the least that a reliable loop in Python can do.
Rounds are interleaved; figures are medians with the least and the greatest. A wrong count is no result, and the exit
status is 1 where there was one. At the end, the goals.

Peers: ``pip install -r tests/benchmarks/requirements.txt``; Sidekiq: ``apt install ruby-sidekiq``; the newest, with
YJIT, runs in a root of Debian's sid, which is built at the first use (root's rights, debootstrap). What every contender
is started with is in contenders.py and peers/: their authors' corrections are welcome.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, TextIO

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as conftest.py does for the tests
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from benchmarks import measuring
from benchmarks.contenders import ALL, FLOOR, KINDS, NEWEST, OURS, PYTHON, SIDEKIQ, SPECIAL, Contender
from benchmarks.measuring import Figures, NoResultError

SHORT: Final = 0.3  # seconds: a trial that was shorter says too little of the rate
DRIFT: Final = 0.10  # of the control over a round, from which on the machine was not steady
FOREIGN: Final = 0.25  # cores busy with something else, from which on a figure is marked
DRAINS: Final = {
    "noop": "Noop",
    "kinds": "",
    "sleep1": "Sleep1",
    "sleep10": "Sleep10",
    "cpu": "Cpu",
    "payload": "Payload",
}
IDEALS: Final = {"sleep1": 10_000, "sleep10": 1_000, "cpu": 10_000}  # jobs/s that ten threads could do at most
WORKLOADS: Final = {
    "noop": "drain of no-op jobs",
    "sleep1": "drain of jobs that sleep 1 ms (ideal: 10,000/s)",
    "sleep10": "drain of jobs that sleep 10 ms (ideal: 1,000/s)",
    "cpu": "drain of jobs that take 100 µs of CPU (ideal: 10,000/s)",
    "payload": "drain of no-op jobs with 1 KB of arguments",
    "kinds": "drain of our own jobs that are not plain, until their ends were told",
    "latency": "cold start, memory at rest, wait from enqueue to start (ms) at 100 and 1,000 jobs/s",
    "mixed": "300 jobs/s in bursts of 30, one of a hundred sleeps 1 s: how long the others wait (ms)",
    "enqueue": "enqueue, one job a call, one thread",
    "bulk": "enqueue, 1,000 jobs a call, one thread",
}
PLAIN: Final = f"{SPECIAL}plain"
ENQUEUED: Final = {"enqueue", "bulk"}
FOR_ALL: Final = {"noop", "latency"}


@dataclass(frozen=True, slots=True)
class Column:
    """How a figure is shown."""

    figure: str
    title: str
    shape: str = ",.0f"
    spread: bool = False


_WAITS: Final = tuple(Column(f"{name}_ms", name, ",.2f", spread=name != "max") for name in ("p50", "p99", "max"))
_ENQUEUED: Final = (
    Column("rate", "jobs/s", spread=True),
    Column("client_cpu_us", "µs CPU", ",.2f"),
    Column("redis_cpu_us", "Redis µs", ",.2f"),
    Column("jobs", "jobs"),
    Column("seconds", "s", ".1f"),
)
_DRAINED: Final = (
    Column("rate", "jobs/s", spread=True),
    Column("commands", "cmds/job", ".2f"),
    Column("bytes_in", "B in"),
    Column("bytes_out", "B out"),
    Column("worker_cpu_us", "µs CPU", ",.1f"),
    Column("redis_cpu_us", "Redis µs", ",.1f"),
    Column("held", "held"),
    Column("rss_full_mb", "MB"),
    Column("jobs", "jobs"),
    Column("seconds", "s", ".1f"),
)
_LATENCY: Final = (
    *(
        Column(f"{one}_ms_{rate}", f"{one} {rate}/s", ",.2f")
        for rate in measuring.RATES
        for one in ("p50", "p99", "max")
    ),
    Column("cold_s", "cold s", ".2f", spread=True),
    Column("rss_mb", "MB"),
)
COLUMNS: Final = {
    **dict.fromkeys(DRAINS, _DRAINED),
    "latency": _LATENCY,
    "mixed": _WAITS,
    "enqueue": _ENQUEUED,
    "bulk": _ENQUEUED,
}


@dataclass(frozen=True, slots=True)
class Result:
    """One measurement, or why there is none."""

    workload: str
    contender: str
    round: int
    versions: Mapping[str, str]
    figures: Figures = field(default_factory=dict)
    failure: str = ""


class Bench:
    """What was asked for, and what has been found."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.seconds: float = 1.0 if options.quick else options.seconds
        self.settings = {"appendonly": "yes", "appendfsync": "everysec"} if options.appendonly else {}
        self.results: list[Result] = []
        self._rates: dict[tuple[str, str], float] = {}

    def measure(self, workload: str, contender: Contender, number: int, versions: Mapping[str, str]) -> Result:
        """One measurement; a failure is a result too."""
        try:
            found = Result(workload, contender.name, number, versions, self._figures(workload, contender))
        except NoResultError as error:
            found = Result(workload, contender.name, number, versions, failure=str(error))
        self.results.append(found)
        return found

    def _figures(self, workload: str, contender: Contender) -> Figures:
        match workload:
            case "latency":
                return measuring.latency(contender, self.seconds, self.settings)
            case "mixed":
                return measuring.mixed(contender, self.seconds, self.settings)
            case verb if verb in ENQUEUED:
                return measuring.enqueue(contender, verb, self.seconds, self.settings)
            case _:
                return self._drain(workload, contender)

    def _drain(self, workload: str, contender: Contender) -> Figures:
        """As many jobs as take so long, by what is known of the rate; a short trial comes before the first."""
        known = (workload, contender.name)
        if known not in self._rates:
            self._rates[known] = self._trial(workload, contender)
        count = math.ceil(self._rates[known] * self.seconds * 1.1)
        figures = measuring.drain(contender, contender.job or DRAINS[workload], count, self.settings)
        self._rates[known] = figures["rate"]
        return figures

    def _trial(self, workload: str, contender: Contender) -> float:
        count = math.ceil(min(contender.guess, IDEALS.get(workload, contender.guess)) * SHORT)
        while True:
            figures = measuring.drain(contender, contender.job or DRAINS[workload], count, self.settings)
            if figures["seconds"] >= SHORT:
                return figures["rate"]
            count = math.ceil(count * min(10.0, 2 * SHORT / figures["seconds"]))

    def series(self, workload: str, contender: str, figure: str) -> list[float]:
        """What the rounds found."""
        return [
            one.figures[figure]
            for one in self.results
            if one.workload == workload and one.contender == contender and figure in one.figures
        ]

    def median(self, workload: str, contender: str, figure: str) -> float | None:
        """None where there is no result."""
        found = self.series(workload, contender, figure)
        return statistics.median(found) if found else None


def takes_part(contender: Contender, workload: str) -> bool:
    """Whether a contender is asked for a workload."""
    if contender.job or workload == "kinds":
        return bool(contender.job) and workload == "kinds"
    if workload in ENQUEUED:
        return contender.own_client and (contender.bulk or workload != "bulk")
    return contender.every_workload or workload in FOR_ALL


def run(
    bench: Bench, options: argparse.Namespace, present: Mapping[str, Mapping[str, str]], lines: TextIO | None
) -> None:
    """All rounds; in each the order turns by one, so that nobody always comes first."""
    surroundings = measuring.surroundings()
    for number in range(1, options.rounds + 1):
        before = measuring.pings()
        results = []
        for workload in options.workload:
            some = [one for one in ALL if one.name in present and takes_part(one, workload)]
            turn = (number - 1) % max(1, len(some))
            for contender in some[turn:] + some[:turn]:
                result = bench.measure(workload, contender, number, present[contender.name])
                print(f"round {number}  {workload:<8} {contender.name:<14} {_brief(result)}", flush=True)
                results.append(result)
        after = measuring.pings()
        control = {"pings_before": before, "pings_after": after, "steady": abs(after / before - 1) <= DRIFT}
        print(f"round {number}  control: {before:,.0f} PINGs/s before, {after:,.0f} after")
        if not control["steady"]:
            print(f"round {number}  the control moved more than {DRIFT:.0%}: this machine was busy; run it again")
        if lines is not None:
            for result in results:
                lines.write(json.dumps({**asdict(result), **surroundings, **control}) + "\n")
            lines.flush()


def _brief(result: Result) -> str:
    if result.failure:
        return f"NO RESULT: {result.failure}"
    first = COLUMNS[result.workload][0]
    busy = "  (other programs were busy)" if result.figures.get("foreign_cores", 0.0) > FOREIGN else ""
    return f"{first.title} {result.figures[first.figure]:{first.shape}}{busy}"


def table(bench: Bench, workload: str) -> Iterator[str]:
    """A workload's lines, medians over the rounds."""
    contenders = [one for one in ALL if any((r.workload, r.contender) == (workload, one.name) for r in bench.results)]
    if not contenders:
        return
    yield f"\n{WORKLOADS[workload]}"
    rated = COLUMNS[workload][0].figure == "rate"
    beside = "of plain" if workload == "kinds" else "ours is"
    head = ["", *(column.title for column in COLUMNS[workload]), *([beside] if rated else [])]
    rows = [_row(bench, workload, contender, rated=rated) for contender in contenders]
    if workload not in ENQUEUED:
        head.append("running at kill -9")
        rows = [[*row, contender.killed] for row, contender in zip(rows, contenders, strict=True)]
    rows = [head, *rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    for row in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join([f"{row[0]:<{widths[0]}}", *cells])


def _row(bench: Bench, workload: str, contender: Contender, *, rated: bool) -> list[str]:
    cells = [contender.name]
    cells += [_cell(bench.series(workload, contender.name, column.figure), column) for column in COLUMNS[workload]]
    if rated:
        of, by = (contender.name, PLAIN) if workload == "kinds" else (OURS.name, contender.name)
        ratio = _ratio(bench.median(workload, of, "rate"), bench.median(workload, by, "rate"))
        cells.append("-" if ratio is None else f"{ratio:.2f} x")
    return cells


def _cell(found: Sequence[float], column: Column) -> str:
    if not found:
        return "-"
    middle = f"{statistics.median(found):{column.shape}}"
    if not column.spread or len(found) == 1:
        return middle
    return f"{middle} ({min(found):{column.shape}}-{max(found):{column.shape}})"


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def goals(bench: Bench) -> Iterator[str]:
    """Each with what was found, and whether it is met. Of several peers the fastest counts."""
    noop = _among(bench, "noop", "rate", max)
    single = _among(bench, "enqueue", "rate", max)
    rate, floor = noop([OURS]), noop([FLOOR])
    yield _goal("drain: ours / Debian's Sidekiq", _ratio(rate, noop(SIDEKIQ[:1])), 15, "x")
    yield _goal("drain: ours / Sidekiq 8 with YJIT", _ratio(rate, noop([NEWEST])), 18, "x")
    yield _goal("drain: ours / fastest Python peer", _ratio(rate, noop(PYTHON)), 25, "x")
    yield _goal("drain: ours / floor", _ratio(rate, floor), 0.7, "x")
    yield _goal("enqueue, one a call: ours / Sidekiq's client", _ratio(single([OURS]), single(SIDEKIQ)), 1, "x")
    bulk = _among(bench, "bulk", "rate", max)
    yield _goal("enqueue, 1,000 a call: ours / Sidekiq 8's", _ratio(bulk([OURS]), bulk([NEWEST])), 1.2, "x")
    for kind in KINDS:
        if kind.name != PLAIN:
            ratio = _ratio(bench.median("kinds", kind.name, "rate"), bench.median("kinds", PLAIN, "rate"))
            yield _goal(f"drain: {kind.job} / plain", ratio, 0.3, "x")
    for paced in measuring.RATES:
        wait = _among(bench, "latency", f"p50_ms_{paced}", min)
        yield _goal(f"p50 at {paced:,}/s: Sidekiq's / ours", _ratio(wait(SIDEKIQ), wait([OURS])), 1, "x")


def _among(
    bench: Bench, workload: str, figure: str, best: Callable[[list[float]], float]
) -> Callable[[Sequence[Contender]], float | None]:
    def of(contenders: Sequence[Contender]) -> float | None:
        medians = [bench.median(workload, one.name, figure) for one in contenders]
        found = [one for one in medians if one is not None]
        return best(found) if found else None

    return of


def _goal(what: str, found: float | None, least: float, unit: str) -> str:
    shape = ",.0f" if least >= 1_000 else ",.2f"
    if found is None:
        return f"{what:<46} {'-':>10} {unit:<7} goal {least:>8,} {unit:<7} not measured"
    return f"{what:<46} {found:>10{shape}} {unit:<7} goal {least:>8,} {unit:<7} {'met' if found >= least else 'MISSED'}"


def _named(known: Sequence[str]) -> Callable[[str], list[str]]:
    def names(text: str) -> list[str]:
        asked = text.split(",")
        if unknown := [name for name in asked if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)} is none of {', '.join(known)}")
        return [name for name in known if name in asked]

    return names


def _options() -> argparse.Namespace:
    names = [one.name for one in ALL]
    parser = argparse.ArgumentParser(description="kiqdoctor's runtime beside its peers")
    parser.add_argument("--rounds", type=int, default=3, metavar="N")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement (default 5, at most 50)")
    parser.add_argument("--quick", action="store_true", help="one second each: whether it works, not how fast")
    parser.add_argument("--only", type=_named(names), default=names, metavar="NAME,...", help=", ".join(names))
    parser.add_argument("--workload", type=_named(list(WORKLOADS)), default=list(WORKLOADS), metavar="NAME,...")
    parser.add_argument("--json", type=Path, metavar="FILE", help="append one JSON line for each measurement")
    parser.add_argument("--appendonly", action="store_true", help="Redis with appendfsync everysec")
    options = parser.parse_args()
    if not 0 < options.seconds <= 50 or options.rounds < 1:
        parser.error("--seconds from 0 to 50, --rounds from 1")
    return options


def main() -> int:
    """Measure, and print what was found."""
    options = _options()
    bench = Bench(options)
    present: dict[str, Mapping[str, str]] = {}
    for contender in ALL:
        if contender.name in options.only:
            versions = contender.versions()
            if versions is None:
                print(f"{contender.name:<14} not installed: {contender.advice}")
                continue
            present[contender.name] = versions
            if not contender.job:
                print(f"{contender.name:<14} {', '.join(f'{name} {version}' for name, version in versions.items())}")
    lines = options.json.open("a", encoding="utf-8") if options.json else None
    try:
        run(bench, options, present, lines)
    finally:
        if lines is not None:
            lines.close()
    for workload in options.workload:
        for line in table(bench, workload):
            print(line)
    print("\ngoals")
    for line in goals(bench):
        print(line)
    failures = [one for one in bench.results if one.failure]
    for one in failures:
        print(f"no result: round {one.round}, {one.workload}, {one.contender}: {one.failure}")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
