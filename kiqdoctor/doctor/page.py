"""A check's own page as a value, made of its docstring, its facts' probes and its numbers.

In the docstring a paragraph that begins with a label of LABELS is a part of its own: the formula under *How it is
found*, the log's lines under *Why it hurts*, risk and undo under *How to fix*. A list item ``- NAME: words`` under
*Source* says where the constant NAME of the check's file comes from.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Final

from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.plan import halves, plan, sides
from kiqdoctor.doctor.probe import Probe
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

LABELS: Final = {
    "Why it hurts": ("In the log",),
    "How it is found": ("Formula",),
    "How to fix": ("Risk", "Undo"),
}
HEADINGS: Final = (
    "Why it hurts",
    "How it is found",
    "When it is wrong",
    "Confirm by hand",
    "How to fix",
    "Unknown when",
    "Source",
)
NOT_JUDGED: Final = frozenset({"SHOWN"})  # a constant of a check's file that bounds what is shown

_THRESHOLD: Final = regex(r"- `?([A-Z][A-Z0-9_]*)`?: (.+)", re.DOTALL)
_ID: Final = regex(r"\b[A-Z]{3}[0-9]{3}\b")


@dataclass(frozen=True, slots=True)
class ReadCost:
    """One read that judging takes: what, by which probe, the permission ("" = none) and what it costs."""

    what: str
    probe: str
    permission: str
    cost: str


@dataclass(frozen=True, slots=True)
class ToldThreshold:
    """A number that the check compares with: where it comes from, and whether a configuration may set it."""

    name: str
    value: str
    source: str
    turnable: bool = False


@dataclass(frozen=True, slots=True)
class Related:
    """Another check, and how it is related."""

    id: str
    name: str
    how: str


@dataclass(frozen=True, slots=True)
class Page:
    """All that there is to say of a check; texts are paragraphs of Markdown. ``given``: facts that no probe reads."""

    id: str
    name: str
    title: str
    severity: str
    category: str
    halves: tuple[str, ...]
    preview: bool
    origin: str
    formula: str
    found: str
    why: str
    log: str
    wrong: str
    confirm: str
    fix: str
    risk: str
    undo: str
    unknown: str
    source: str
    fault_test: str
    costs: tuple[ReadCost, ...]
    given: tuple[str, ...]
    thresholds: tuple[ToldThreshold, ...]
    related: tuple[Related, ...]

    @property
    def gaps(self) -> tuple[str, ...]:
        """The parts that say nothing; a page that is done has none."""
        empty = [
            one.name for one in fields(self) if one.type is str and one.name != "origin" and not _of(self, one.name)
        ]
        sourceless = [f"source of {one.name}" for one in self.thresholds if not one.source]
        return (*empty, *sourceless)


def _of(page: Page, name: str) -> str:
    text: str = getattr(page, name)
    return text.strip()


def page(check: Check, checks: Sequence[Check], probes: Sequence[Probe]) -> Page:
    """The page of one check among all checks, read by these probes."""
    parts = _parts(check.page)
    side = sides(check, halves(probes))
    readers = plan([check], probes).probes
    read = {probe.fact for probe in readers}
    return Page(
        id=check.id,
        name=check.name,
        title=check.title,
        severity=check.severity.value,
        category=check.category,
        halves=tuple(half for half, yes in (("live", side.live), ("static", side.static)) if yes),
        preview=check.preview,
        origin=check.origin,
        formula=parts.get("Formula", ""),
        found=parts.get("How it is found", ""),
        why=parts.get("Why it hurts", ""),
        log=parts.get("In the log", ""),
        wrong=parts.get("When it is wrong", ""),
        confirm=parts.get("Confirm by hand", ""),
        fix=parts.get("How to fix", ""),
        risk=parts.get("Risk", ""),
        undo=parts.get("Undo", ""),
        unknown=parts.get("Unknown when", ""),
        source=parts.get("Source", ""),
        fault_test=f"tests/checks/{check.category}/test_{check.judge.__name__}.py",
        costs=tuple(
            ReadCost(one.what, probe.name, one.permission, one.cost) for probe in readers for one in probe.reads
        ),
        given=tuple(need.kind.__name__ for need in check.needs if need.kind not in read),
        thresholds=tuple(_thresholds(check)),
        related=tuple(_related(check, checks)),
    )


def _parts(text: str) -> dict[str, str]:
    """Each section's prose by its heading, and each labelled paragraph by its label."""
    parts: dict[str, str] = {}
    for section in text.split("\n## ")[1:]:
        heading, _, body = section.partition("\n")
        prose = []
        for paragraph in body.strip().split("\n\n"):
            label, colon, rest = paragraph.strip().partition(":")
            if colon and label in LABELS.get(heading, ()):
                parts[label] = rest.strip()
            elif heading != "Source" or not _THRESHOLD.match(paragraph.strip()):
                prose.append(paragraph.strip("\n"))
        parts[heading] = "\n\n".join(prose)
    return parts


def numbers(check: Check) -> dict[str, float]:
    """The constants of the check's file that it judges by."""
    return {
        name: value
        for name, value in getattr(check.judge, "__globals__", {}).items()
        if name.isupper() and name not in NOT_JUDGED and type(value) in {int, float}
    }


def _thresholds(check: Check) -> Iterator[ToldThreshold]:
    """Those that a configuration may turn, and the constants that the docstring speaks of."""
    told = dict(_sources(check.page))
    for one in check.thresholds:
        yield ToldThreshold(
            one.name, f"{one.default:g} {one.unit}".strip(), f"{one.meaning.rstrip('.')} ({one.source}).", turnable=True
        )
    for name, value in numbers(check).items():
        yield ToldThreshold(name, f"{value:g}", told.get(name, ""))


def _sources(text: str) -> Iterator[tuple[str, str]]:
    _, _, section = text.partition("\n## Source\n")
    for item in re.split(r"\n(?=- )", section):
        if found := _THRESHOLD.match(item.strip()):
            yield found[1], " ".join(found[2].split())


def _related(check: Check, checks: Sequence[Check]) -> Iterator[Related]:
    causes = set(check.caused_by)
    for other in checks:
        if other.id == check.id:
            continue
        if other.id in causes:
            yield Related(other.id, other.name, "explains this one: look there first")
        elif check.id in other.caused_by:
            yield Related(other.id, other.name, "is explained by this one")
        elif other.id in _ID.findall(check.page):
            yield Related(other.id, other.name, "is spoken of above")
        elif check.id in _ID.findall(other.page):
            yield Related(other.id, other.name, "speaks of this one")
