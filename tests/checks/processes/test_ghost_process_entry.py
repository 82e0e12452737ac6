"""PRO002: members without a record."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.moment import NOW

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
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


SILENT = Fleet((Process("web-1:4711:aabbccddeeff", exists=False),), 1)


def test_one_whose_process_lives_on_has_lost_its_heartbeat() -> None:
    [finding] = diagnose("PRO002", HEALTHY.with_(SILENT)).findings

    assert (finding.finding.key, finding.severity) == ("lost-beat", "medium")
    assert "web-1:4711:aabbccddeeff lives on this host" in finding.finding.title
    [beats] = diagnose("PRO001", HEALTHY.with_(SILENT)).findings
    assert "though web-1:4711:aabbccddeeff runs on this host" in beats.finding.title


@pytest.mark.parametrize(
    "another",
    [
        replace(LOCAL, pid=4712, namespace_pids=(4712,)),
        replace(LOCAL, started_at=NOW - 20),
        replace(LOCAL, stopping=True),
        replace(LOCAL, sockets=(("10.0.0.1:5099", "10.0.0.77:6379"),), redis=("REDIS_URL=redis://10.0.0.77:6379/0",)),
    ],
    ids=["another number", "just begun", "stopping", "of another Redis"],
)
def test_a_ghost_s_number_that_is_somebody_else_s(another: LocalProcess) -> None:
    seen = HEALTHY.with_(SILENT, LocalProcesses("web-1", (another,)))

    assert [one.finding.key for one in diagnose("PRO002", seen).findings] == [""]


def test_a_ghost_s_number_that_another_life_registered() -> None:
    heir = replace(WORKER, identity="web-1:4711:bbbbbbbbbbbb")
    seen = HEALTHY.with_(Fleet((*SILENT.processes, heir), 2))

    assert [one.finding.key for one in diagnose("PRO002", seen).findings] == [""]
