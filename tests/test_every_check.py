"""What holds for all checks: a page with every heading, a pass on the healthy twin, unknown when a fact is refused."""

from pathlib import Path

import pytest
from healthy import HEALTHY, WATCHED
from jobs import failed
from lessening import less

from kiqdoctor import probes
from kiqdoctor.doctor.check import SAMPLED, Check, Need, Span
from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.engine import Coverage
from kiqdoctor.doctor.facts.queues import Place, Samples
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.plan import DECIDED, LIVE_GIVEN
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot

HEADINGS = (
    "Why it hurts",
    "How it is found",
    "When it is wrong",
    "Confirm by hand",
    "How to fix",
    "Unknown when",
    "Source",
)
CHECKS = load()
IDS = Path(__file__).parent / "checks" / "ids.txt"

every = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)


def test_ids_and_names_are_frozen() -> None:
    frozen = IDS.read_text().splitlines()

    assert frozen == sorted(frozen)
    assert [f"{check.id} {check.name}" for check in CHECKS] == frozen


@every
def test_its_page_has_every_heading_with_words_under_it(check: Check) -> None:
    head, *sections = check.page.split("\n## ")
    bodies = dict(section.split("\n", 1) for section in sections)

    assert head.strip()
    assert tuple(bodies) == HEADINGS
    assert all(body.strip() for body in bodies.values())


@every
def test_its_file_and_folder_bear_its_name(check: Check) -> None:
    file = Path(check.judge.__code__.co_filename)

    assert file.stem == check.judge.__name__
    assert file.parent.name == check.category


def healthy(check: Check, snapshot: Snapshot) -> Snapshot:
    """QUE005 is told by jobs that failed: it passes where there is one, with an ordinary error."""
    failing = Samples((Place("retry", 1, others=(failed(),)),))
    return snapshot.with_(failing) if check.id == "QUE005" else snapshot


@every
def test_it_passes_on_the_healthy_installation(check: Check) -> None:
    result = diagnose(check.id, healthy(check, WATCHED))

    assert result.outcome is Outcome.PASS, (result.reason, result.findings)


@every
def test_one_look_at_the_healthy_installation_accuses_nobody(check: Check) -> None:
    result = diagnose(check.id, healthy(check, HEALTHY))
    short = any(need.span in SAMPLED for need in check.needs) and "--for" in (result.reason or "")
    alone = any(need.span is Span.EARLIER for need in check.needs) and "--baseline-run" in (result.reason or "")

    assert result.outcome is Outcome.PASS or short or alone, (result.reason, result.findings)
    assert not result.findings


def required() -> list[tuple[Check, Need]]:
    free = {Connection, Coverage, *DECIDED}
    return [(check, need) for check in CHECKS for need in check.needs if not need.optional and need.kind not in free]


@pytest.mark.parametrize(("check", "need"), required(), ids=lambda one: one.id if isinstance(one, Check) else one.name)
def test_it_is_unknown_without_a_fact_that_it_needs(check: Check, need: Need) -> None:
    result = diagnose(check.id, WATCHED.without(need.kind, Refused("NOPERM", "+key")))

    assert result.outcome is Outcome.UNKNOWN
    assert "NOPERM (to settle it: +key)" in (result.reason or "")


def readings() -> list[tuple[Check, Need, int]]:
    """Each reading of each fact that a check wants over time; a series must be whole even where it is optional."""
    wanted = [(check, need) for check in CHECKS for need in check.needs if need.span is not Span.ONCE]
    places = {Span.TWICE: (0, -1), Span.SERIES: range(12), Span.EARLIER: (0,)}
    return [
        (check, need, place)
        for check, need in wanted
        if need.span is Span.SERIES or not need.optional
        for place in places[need.span]
    ]


@pytest.mark.parametrize(
    ("check", "need", "place"), readings(), ids=lambda one: getattr(one, "id", getattr(one, "name", one))
)
def test_it_is_unknown_without_a_reading_of_what_it_needs_over_time(check: Check, need: Need, place: int) -> None:
    result = diagnose(check.id, less(WATCHED, need.kind, place))

    assert result.outcome is Outcome.UNKNOWN
    assert "NOPERM" in (result.reason or "")


@every
def test_somebody_reads_each_fact_that_it_needs(check: Check) -> None:
    read = {probe.fact for probe in probes.every()} | LIVE_GIVEN | DECIDED

    assert {need.kind for need in check.needs} <= read


@every
def test_it_has_a_test_of_its_own(check: Check) -> None:
    assert (Path(__file__).parent / "checks" / check.category / f"test_{check.judge.__name__}.py").is_file()
