"""The exit status is a pure table over the results."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from kiqdoctor.doctor.check import Need, check
from kiqdoctor.doctor.facts.engine import Coverage, Suppressions
from kiqdoctor.doctor.facts.redis import Connection, Server
from kiqdoctor.doctor.gate import broke_off, exit_status
from kiqdoctor.doctor.report import Outcome, Reported, Result
from kiqdoctor.doctor.snapshot import Reading, Refused, Snapshot
from kiqdoctor.doctor.verdict import Finding, Severity, Verdict


@check("TST001", severity=Severity.HIGH)
def some(*_: object) -> Iterator[Verdict]:
    yield from ()


def result(outcome: Outcome, *severities: Severity, suppressed: bool = False, preview: bool = False) -> Result:
    findings = tuple(Reported(Finding("redis", "ill", ""), one, "TST001:redis", suppressed) for one in severities)
    return Result(replace(some, preview=preview), outcome, None, 0.0, (), findings)


PASS = result(Outcome.PASS)
UNKNOWN = result(Outcome.UNKNOWN)
ABSENT = result(Outcome.NOT_APPLICABLE)
HIGH = result(Outcome.FAIL, Severity.HIGH)
LOW = result(Outcome.FAIL, Severity.LOW)


@pytest.mark.parametrize(
    ("results", "fail_on", "required", "unreachable", "status"),
    [
        ([PASS], Severity.HIGH, (), False, 0),
        ([PASS, UNKNOWN], Severity.HIGH, (), False, 0),
        ([HIGH], Severity.HIGH, (), False, 1),
        ([HIGH], Severity.CRITICAL, (), False, 0),
        ([LOW], Severity.HIGH, (), False, 0),
        ([LOW], Severity.INFO, (), False, 1),
        ([HIGH], None, (), False, 0),
        ([result(Outcome.FAIL, Severity.HIGH, suppressed=True)], Severity.HIGH, (), False, 0),
        ([PASS, result(Outcome.FAIL, Severity.CRITICAL, preview=True)], Severity.HIGH, (), False, 0),
        ([UNKNOWN], Severity.HIGH, (), False, 3),
        ([ABSENT], Severity.HIGH, (), False, 3),
        ([], Severity.HIGH, (), False, 3),
        ([PASS, UNKNOWN], Severity.HIGH, ("TST001",), False, 3),
        ([PASS, ABSENT], Severity.HIGH, ("TST001",), False, 0),
        ([HIGH, UNKNOWN], Severity.HIGH, ("TST",), False, 1),
        ([HIGH], Severity.HIGH, (), True, 3),
        ([PASS], None, (), True, 3),
    ],
)
def test_the_table(
    results: list[Result], fail_on: Severity | None, required: tuple[str, ...], unreachable: bool, status: int
) -> None:
    assert exit_status(results, fail_on=fail_on, required=required, unreachable=unreachable) == status


@pytest.mark.parametrize(("results", "status"), [([PASS], 3), ([HIGH], 1), ([LOW], 3), ([UNKNOWN], 3)])
def test_what_broke_off_is_never_well(results: list[Result], status: int) -> None:
    assert exit_status(results, fail_on=Severity.HIGH, broken=True) == status


@pytest.mark.parametrize(
    ("connection", "fact", "broken"),
    [
        (Connection("redis://h"), Server(), False),
        (Connection("redis://h", broken="the server closed the connection (at SCAN)"), Server(), True),
        (Connection("redis://h", broken="gone", named=False), Server(), False),
        (Connection("redis://h"), Refused("NOPERM", "+info"), False),
        (Connection("redis://h"), Refused("server crashed: ValueError", crashed=True), True),
    ],
)
def test_what_breaks_an_examination_off(connection: Connection, fact: Server | Refused, broken: bool) -> None:
    snapshot = Snapshot({Connection: Reading(connection), Server: Reading(fact)})

    assert broke_off(snapshot) is broken


def test_a_crash_in_the_midst_of_a_window_breaks_it_off_too() -> None:
    crashed = Refused("server crashed: ValueError", crashed=True)

    assert broke_off(Snapshot().over(5, Server(), crashed, Server()))
    assert not broke_off(Snapshot().over(5, Server(), Refused("NOPERM"), Server()).after(60))


@pytest.mark.parametrize("kind", [Coverage, Suppressions])
def test_what_tells_of_the_examination_itself_judges_nothing(kind: type) -> None:
    of_itself = replace(some, needs=(Need("own", kind),))
    passed = Result(of_itself, Outcome.PASS, None, 0.0)

    assert exit_status([passed], fail_on=Severity.HIGH) == 3
    assert exit_status([passed, PASS], fail_on=Severity.HIGH) == 0
