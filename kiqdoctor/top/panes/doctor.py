"""The doctor's findings as they come and go: a cause before what it explains, new and healed ones marked."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from kiqdoctor.doctor.report import Reported, Result
from kiqdoctor.text import LONG, clean
from kiqdoctor.top import words
from kiqdoctor.top.feed import Feed
from kiqdoctor.top.paint import SEVERITIES, Line, Piece
from kiqdoctor.top.panes.pane import MissingFactError, TablePane
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column
from kiqdoctor.top.view import Opened


@dataclass(frozen=True, slots=True)
class DoctorRow:
    """A row: a finding, one that is gone, or a check that could not be judged. ``place`` keeps the report's order."""

    place: int
    result: Result
    reported: Reported | None = None
    mark: str = ""  # new, healed, unseen, unknown
    because: str = ""
    at: float = 0.0

    @property
    def rank(self) -> int:
        """Severity, the worst first; what is unknown last."""
        return self.reported.severity.rank if self.reported is not None else 9


class Doctor(TablePane):
    """A row a finding."""

    label: ClassVar[str] = "Doctor"
    key: ClassVar[str] = "8"
    short: ClassVar[str] = "Doc"
    again_says: ClassVar[str] = "examine"
    empty: ClassVar[str] = "no findings, and nothing that could not be judged"
    keys: ClassVar[tuple[tuple[str, str], ...]] = (("enter", "its evidence and the check's page"), ("r", "examine now"))
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Severity", 8, lambda one: (one.rank, one.place)),
        Column("Mark", 7, lambda one: one.mark),
        Column("Check", 6, lambda one: one.result.check.id),
        Column("Finding", 30, lambda one: one.reported.finding.title if one.reported else one.because, grow=4),
        Column("Subject", 16, lambda one: one.reported.finding.subject if one.reported else "", grow=1, rank=2),
        Column("Since", 8, lambda one: -one.at, right=True, rank=1),
    )

    def draw(self, shown: Scene) -> Line:
        """The table; what was judged, when, at what cost."""
        diagnosis = shown.diagnosis
        if diagnosis is None:
            raise MissingFactError("not judged" if shown.target.recorded else "the first examination is under way")
        self.fill(rows_of(shown), shown)
        report = diagnosis.report
        judged = sum(result.outcome.value in {"pass", "fail"} for result in report.results)
        counts = {mark: sum(one.mark == mark for one in self.items.values()) for mark in ("new", "healed", "unseen")}
        return [
            ("", words.plural(len(diagnosis.findings), "finding")),
            ("bad", f", {counts['new']} new" if counts["new"] else ""),
            ("good", f", {counts['healed']} healed" if counts["healed"] else ""),
            ("warn", f", {len(diagnosis.unknown)} unknown" if diagnosis.unknown else ""),
            ("", f"; {judged} of {len(report.results)} checks judged in {words.age(report.duration_s)}"),
            ("dim", f"  examined {words.age(max(shown.now - diagnosis.at, 0.0))} ago"),
        ]

    def row_key(self, item: DoctorRow) -> Hashable:
        """The finding's fingerprint, or the check."""
        return item.reported.fingerprint if item.reported is not None else item.result.check.id

    def cells(self, item: DoctorRow, shown: Scene) -> Sequence[Piece]:
        """A finding in a row."""
        if item.reported is None:
            because = f"because {item.because}"
            return (
                ("warn", "unknown"),
                ("", ""),
                ("", item.result.check.id),
                ("dim", clean(because)),
                ("", ""),
                ("", ""),
            )
        one = item.reported
        gone = item.mark in {"healed", "unseen"}
        since = "at start" if not item.at else words.age(max(shown.now - item.at, 0.0))
        return (
            ("dim" if gone else SEVERITIES[one.severity.value], one.severity.value),
            ("good" if item.mark == "healed" else "warn", item.mark),
            ("", item.result.check.id),
            ("dim" if gone else "strong", f"{'└ ' if one.causes else ''}{clean(one.finding.title)}"),
            ("", clean(one.finding.subject)),
            ("", since),
        )

    def enter(self) -> None:
        """Its evidence, and the check's page."""
        here, source, id_here = self.here, self.view.source, self.id_here
        if here is not None:
            self.view.background(lambda: _opened(source, here, id_here), self.view.open)

    def again(self) -> None:
        """Examine now."""
        self.view.examine()

    @property
    def id_here(self) -> str:
        """The fingerprint, or the check."""
        return "" if self.table.key is None else str(self.table.key)


def _opened(source: Feed | None, row: DoctorRow, id_here: str) -> Opened:
    check = row.result.check
    page = source.explain(check.id) if source is not None else check.page
    return Opened(f"{check.id} {check.name}", details(row, page), id_here)


def rows_of(shown: Scene) -> list[DoctorRow]:
    """Findings in the report's order, then what is gone, then what could not be judged."""
    diagnosis = shown.diagnosis
    if diagnosis is None:
        return []
    rows = [
        DoctorRow(0, result, one, diagnosis.mark(one), at=diagnosis.since.get(one.fingerprint, 0.0))
        for result, one in diagnosis.findings
    ]
    rows += [
        DoctorRow(0, one.result, one.reported, "unseen" if one.unseen else "healed", one.unseen, one.at)
        for one in diagnosis.gone
    ]
    rows += [DoctorRow(0, result, None, "unknown", result.reason or "") for result in diagnosis.unknown]
    return [
        DoctorRow(place, *(getattr(row, name) for name in ("result", "reported", "mark", "because", "at")))
        for place, row in enumerate(rows)
    ]


def details(item: DoctorRow, page: str) -> list[Line]:
    """The finding with its evidence, then the check's page."""
    lines: list[Line] = []
    if item.reported is not None:
        one = item.reported
        lines += [
            [
                (SEVERITIES[one.severity.value], one.severity.value.upper()),
                ("strong", f"  {clean(one.finding.title, LONG)}"),
            ],
            [("dim", f"{item.result.check.id} {item.result.check.name} · {clean(one.finding.subject, LONG)}")],
            [("warn", f"not seen now, because {clean(item.because, LONG)}" if item.mark == "unseen" else "")],
        ]
        for evidence in one.finding.evidence:
            source = f"  ({clean(evidence.source)})" if evidence.source else ""
            lines.append([("", f"  {clean(evidence.label)}: {clean(evidence.value, LONG)}"), ("dim", source)])
        if one.finding.remedy:
            lines += [[], [("good", "do: "), ("", clean(one.finding.remedy, LONG))]]
        if one.causes:
            lines += [[("warn", f"follows from {clean(', '.join(one.because))}: look there first")]]
    else:
        lines += [[("warn", "UNKNOWN"), ("strong", f"  {item.result.check.id} {item.result.check.name}")]]
        lines += [[("", f"because {clean(item.because, LONG)}")]]
    return [*lines, [], *([("", line)] for line in page.splitlines())]
