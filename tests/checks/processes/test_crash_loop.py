"""PRO011: who came and went, how long they lived, and what merely looks like a loop."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import UNIT
from healthy.moment import NOW
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import Units
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

STEP = 60.0


def one(number: int, started_at: float, host: str = "web-1") -> Process:
    identity = f"{host}:{100 + number}:{number:012x}"
    return replace(WORKER, identity=identity, hostname=host, pid=100 + number, started_at=started_at, beat=started_at)


def watched(*rounds: list[Process], step: float = STEP) -> Snapshot:
    """Fleets so many seconds apart, the first of them at time 0."""
    return HEALTHY.with_(ServerTime(0, 0)).over(step, *[Fleet(tuple(each), len(each)) for each in rounds])


def looping(hosts: int = 1) -> Snapshot:
    return watched(*[[one(step, step * STEP - 20, f"web-{step % hosts}")] for step in range(11)])


def test_each_round_is_another_process() -> None:
    [finding] = diagnose("PRO011", looping()).findings

    assert finding.severity == "high"
    assert "10 processes of web-0 started and ended within" in finding.finding.title
    assert finding.fingerprint == "PRO011:process:web-0"


def test_other_hosts_are_an_autoscaler() -> None:
    assert diagnose("PRO011", looping(hosts=11)).outcome is Outcome.PASS


def test_several_that_start_together_are_a_deploy() -> None:
    together = [one(number, 5.0) for number in range(5)]

    assert diagnose("PRO011", watched([WORKER], together, *[[WORKER]] * 9)).outcome is Outcome.PASS


def test_how_long_they_lived_after_a_recording_is_not_known() -> None:
    before = [one(number, number * 20.0) for number in range(4)]

    assert diagnose("PRO011", watched(before, [WORKER], step=3600)).outcome is Outcome.PASS


def test_ghosts_that_came_within_the_window_are_rounds() -> None:
    def ghosts(count: int) -> list[Process]:
        return [WORKER, *[Process(f"web-7:{n}:aa", exists=False) for n in range(count)]]

    assert diagnose("PRO011", watched(*[ghosts(step) for step in range(11)])).outcome is Outcome.FAIL
    assert diagnose("PRO011", watched(*[ghosts(5)] * 11)).outcome is Outcome.PASS


def test_one_reading_of_a_young_process_is_unknown() -> None:
    young = HEALTHY.with_(Fleet((replace(WORKER, started_at=NOW - 20),), 1))

    assert "--for 600" in (diagnose("PRO011", young).reason or "")
    assert diagnose("PRO011", young).outcome is Outcome.UNKNOWN
    assert diagnose("PRO011", HEALTHY).outcome is Outcome.PASS
    assert diagnose("PRO011", HEALTHY.with_(Fleet())).outcome is Outcome.NOT_APPLICABLE


def test_a_service_that_is_restarted() -> None:
    new = Units((changed(UNIT, restarts=7, since=NOW - 30),))

    assert diagnose("PRO011", HEALTHY.with_(new)).findings[0].severity == "medium"
    assert (
        diagnose("PRO011", HEALTHY.with_(Units((changed(UNIT, restarts=7, since=NOW - 9999),)))).outcome is Outcome.PASS
    )
    risen = HEALTHY.over(60, Units((UNIT,)), new)
    assert diagnose("PRO011", risen).findings[0].severity == "high"
