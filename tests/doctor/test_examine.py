"""A missing fact is never a pass; a crash is an unknown; everything else is what the check said."""

from collections.abc import Iterator

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.check import Check, check
from kiqdoctor.doctor.examine import covered, examine, judge
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.facts.redis import Connection, Server
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.series import Twice
from kiqdoctor.doctor.snapshot import Absent, Missing, Refused, Snapshot
from kiqdoctor.doctor.verdict import Evidence, Finding, NotApplicable, Severity, Unknown, Verdict

SERVER = Server({"maxclients": "10"})
CONNECTION = Connection("redis://localhost:6379/0")


@check("TST001", severity=Severity.HIGH)
def limit_low(server: Server) -> Iterator[Verdict]:
    number = server.number("maxclients")
    if number is None:
        yield Unknown("the server does not say", "a newer server")
    elif number < 5:
        yield Finding("redis", f"{number} clients", "raise it", key="low")
    elif number == 5:
        yield NotApplicable("five is right")
    else:
        yield Evidence("maxclients", str(number), "INFO")


@check("TST002", severity=Severity.LOW)
def either(queues: Queues | Missing) -> Iterator[Verdict]:
    if isinstance(queues, Refused):
        yield Unknown("told: " + queues.reason)


@check("TST003", severity=Severity.LOW)
def broken(server: Server) -> Iterator[Verdict]:
    yield Evidence("one", str(1 // (len(server.info) - 1)))


@check("TST004", severity=Severity.LOW)
def trend(servers: Twice[Server]) -> Iterator[Verdict]:
    if servers.last.number("rejected_connections") != servers.first.number("rejected_connections"):
        yield Finding("redis", f"rose within {servers.window_s:g} s", "")


def outcome(one: Check, snapshot: Snapshot) -> Outcome:
    return judge(one, snapshot, SYSTEM).outcome


def test_each_verdict_becomes_its_outcome() -> None:
    assert outcome(limit_low, Snapshot.of(SERVER)) is Outcome.PASS
    assert outcome(limit_low, Snapshot.of(Server({"maxclients": "4"}))) is Outcome.FAIL
    assert outcome(limit_low, Snapshot.of(Server({"maxclients": "5"}))) is Outcome.NOT_APPLICABLE
    assert outcome(limit_low, Snapshot.of(Server({}))) is Outcome.UNKNOWN


def test_a_pass_keeps_what_proves_it() -> None:
    assert judge(limit_low, Snapshot.of(SERVER), SYSTEM).evidence == (Evidence("maxclients", "10", "INFO"),)


def test_a_refused_fact_makes_it_unknown_with_the_key() -> None:
    result = judge(limit_low, Snapshot.of(SERVER).without(Server, Refused("NOPERM info", "+info")), SYSTEM)

    assert result.outcome is Outcome.UNKNOWN
    assert result.reason == "NOPERM info (to settle it: +info)"


@check("X009", severity=Severity.LOW)
def ten_doubts(_server: Server) -> Iterator[Verdict]:
    """Each of ten cannot be told."""
    for number in range(10):
        yield Unknown(f"doubt {number}")


def test_of_many_reasons_the_first_few_are_told() -> None:
    reason = judge(ten_doubts, Snapshot.of(SERVER), SYSTEM).reason or ""

    assert reason.endswith("; doubt 7; and 2 more")
    assert reason.startswith("doubt 0; ")


def test_a_fact_that_nobody_read_is_not_a_pass() -> None:
    assert outcome(limit_low, Snapshot()) is Outcome.UNKNOWN


def test_an_absent_fact_makes_it_not_applicable() -> None:
    result = judge(limit_low, Snapshot.of().without(Server, Absent("no Redis was asked for")), SYSTEM)

    assert (result.outcome, result.reason) == (Outcome.NOT_APPLICABLE, "no Redis was asked for")


def test_an_optional_fact_reaches_the_check_as_its_refusal() -> None:
    result = judge(either, Snapshot.of().without(Queues, Refused("NOPERM", "+llen")), SYSTEM)

    assert result.reason == "told: NOPERM"


def test_a_crash_is_unknown_and_the_others_go_on() -> None:
    first, second = examine([broken, limit_low], Snapshot.of(SERVER), SYSTEM)

    assert (first.check.id, first.outcome) == ("TST001", Outcome.PASS)
    assert second.outcome is Outcome.UNKNOWN
    assert "ZeroDivisionError" in (second.reason or "")


def test_a_change_needs_two_samples() -> None:
    once = Snapshot.of(Server({"rejected_connections": "1"}))
    more = once.over(10, Server({"rejected_connections": "1"}), Server({"rejected_connections": "3"}))
    same = once.over(10, Server({"rejected_connections": "1"}), Server({"rejected_connections": "1"}))

    assert "--for" in (judge(trend, once, SYSTEM).reason or "")
    assert outcome(trend, more) is Outcome.FAIL
    assert outcome(trend, same) is Outcome.PASS


def test_a_finding_gets_severity_and_a_fingerprint_without_counters() -> None:
    [reported] = judge(limit_low, Snapshot.of(Server({"maxclients": "4"})), SYSTEM).findings

    assert reported.severity is Severity.HIGH
    assert reported.fingerprint == "TST001:redis:low"


def test_coverage_lists_every_gap_and_who_wanted_it() -> None:
    snapshot = Snapshot.of(CONNECTION).without(Server, Refused("NOPERM info", "+info"))

    coverage = covered([limit_low, broken, either], snapshot)

    assert [(gap.fact, gap.unlock, gap.checks) for gap in coverage.gaps] == [("Server", "+info", ("TST001", "TST003"))]
    assert coverage.read == 1
