"""PRO002: members without a record."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.report import Outcome


def members(live: int, ghosts: int) -> Fleet:
    alive = [replace(WORKER, identity=f"h:{number}:aa") for number in range(live)]
    gone = [Process(f"g:{number}:aa", exists=False) for number in range(ghosts)]
    return Fleet((*alive, *gone), live + ghosts)


def test_one_in_ten_is_a_fault_and_fewer_a_warning() -> None:
    assert diagnose("PRO002", HEALTHY.with_(members(9, 1))).findings[0].severity == "medium"
    assert diagnose("PRO002", HEALTHY.with_(members(19, 1))).findings[0].severity == "low"
    assert diagnose("PRO002", HEALTHY.with_(members(19, 0))).outcome is Outcome.PASS


def test_too_many_members_to_look_at() -> None:
    partial = replace(members(3, 0), partial="processes has more than 50000 members")

    assert diagnose("PRO002", HEALTHY.with_(partial)).outcome is Outcome.UNKNOWN
