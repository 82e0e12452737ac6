"""A finding is linked to what explains it, and folded under the nearest of that: on plain results."""

from collections.abc import Iterable

import pytest

from kiqdoctor.doctor.causes import link
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.folding import Knot, folded
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.report import Finding, Outcome, Reported, Result, Severity


def made(identity: str, *subjects: str, severity: Severity = Severity.HIGH, caused_by: tuple[str, ...] = ()) -> Result:
    check = Check(identity, identity.lower(), "test", severity, lambda: (), (), "", caused_by=caused_by)
    found = (Reported(Finding(one, identity, ""), severity, f"{identity}:{one}") for one in subjects)
    return Result(check, Outcome.FAIL if subjects else Outcome.PASS, None, 0.0, (), tuple(found))


def tree(knots: Iterable[Knot]) -> list[str]:
    return [f"{'.' * depth}{each.reported.fingerprint}" for knot in knots for each, depth in knot.walked]


LEFTOVER = made("PRO003", "process:old:1:a", severity=Severity.MEDIUM)
BUDGET = made("RED003", "redis", caused_by=("PRO003",))
REFUSED = made("RED002", "redis", severity=Severity.CRITICAL, caused_by=("RED003", "PRO003"))
STALLED = made("QUE008", "set:schedule", severity=Severity.CRITICAL, caused_by=("PRO001", "RED002"))
OTHER = made("WEB002", "web", severity=Severity.HIGH)


def test_a_chain_is_folded_under_its_root_though_the_root_is_the_mildest() -> None:
    results = link([OTHER, STALLED, REFUSED, BUDGET, LEFTOVER])

    assert tree(folded(results)) == [
        "PRO003:process:old:1:a",
        ".RED003:redis",
        "..RED002:redis",
        "...QUE008:set:schedule",
        "WEB002:web",
    ]


def test_without_its_cause_each_stands_alone() -> None:
    results = link([STALLED, made("RED002"), LEFTOVER])

    assert tree(folded(results)) == ["QUE008:set:schedule", "PRO003:process:old:1:a"]
    assert not results[0].findings[0].causes


def test_related_names_both_directions_causes_first() -> None:
    [_, refused, *_] = link([STALLED, REFUSED, BUDGET, LEFTOVER])

    assert refused.findings[0].because == ("RED003", "PRO003")
    assert refused.findings[0].related == ("RED003", "PRO003", "QUE008")


@pytest.mark.parametrize(
    ("cause", "symptom", "linked"),
    [
        ("queue:a", "queue:a", True),
        ("queue:a", "queue:b", False),
        ("redis", "queue:b", True),
        ("process:web-1:17:aa", "process:web-1:18:bb", True),
        ("process:web-1:17:aa", "process:web-2:17:aa", False),
        ("process:web-1:17:aa", "queue:b", True),
        ("job:A", "job:B", False),
    ],
)
def test_one_thing_does_not_explain_another_of_its_kind(cause: str, symptom: str, *, linked: bool) -> None:
    [found, _] = link([made("TST002", symptom, caused_by=("TST001",)), made("TST001", cause)])

    assert bool(found.findings[0].causes) is linked


def test_what_is_merely_worth_knowing_explains_nothing() -> None:
    [found, _] = link([STALLED, made("RED002", "redis", severity=Severity.INFO)])

    assert not found.findings[0].causes


def test_of_many_each_is_explained_by_the_one_about_the_same_thing() -> None:
    queues = [f"queue:{number}" for number in range(3000)]
    results = link([made("QUE001", *queues), made("QUE002", *queues, caused_by=("QUE001",))])

    assert all(one.causes == (f"QUE001:{one.finding.subject}",) for one in results[1].findings)
    assert len(folded(results)) == len(queues)


def test_a_circle_that_strangers_checks_make_loses_no_finding() -> None:
    one, other = made("XXX001", "redis", caused_by=("XXX002",)), made("XXX002", "redis", caused_by=("XXX001",))
    below = made("XXX003", "web", caused_by=("XXX001",))

    assert sorted(line.strip(".") for line in tree(folded(link([one, other, below])))) == [
        "XXX001:redis",
        "XXX002:redis",
        "XXX003:web",
    ]


def test_ours_name_checks_that_are_there_and_make_no_circle() -> None:
    causes = {check.id: check.caused_by for check in load()}
    open_ = dict(causes)
    while ready := [name for name, above in open_.items() if not any(one in open_ for one in above)]:
        for name in ready:
            del open_[name]

    assert {one for above in causes.values() for one in above} <= causes.keys()
    assert not open_
