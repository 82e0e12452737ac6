"""THR004: a forked child, and what is none."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import ForkedChild, Inheritance, LocalProcesses
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

CHILD = ForkedChild(4800, 4711, 30.0, 9)


def forked(*children: ForkedChild) -> Snapshot:
    return HEALTHY.with_(Inheritance(children=children))


def test_a_child_in_its_parent_s_image() -> None:
    [finding] = diagnose("THR004", forked(CHILD)).findings

    assert finding.severity == "high"
    assert "forked while it had 9 threads: pid 4800" in finding.finding.title


def test_before_there_were_threads_a_fork_is_sound() -> None:
    assert diagnose("THR004", forked(changed(CHILD, threads=1))).outcome is Outcome.PASS


def test_another_application_s_child_is_not_judged() -> None:
    assert diagnose("THR004", forked(changed(CHILD, parent=9))).outcome is Outcome.PASS


def test_a_young_child_is_unknown() -> None:
    assert diagnose("THR004", forked(changed(CHILD, age_s=1.0))).outcome is Outcome.UNKNOWN


def test_a_worker_of_its_own_is_none() -> None:
    second = replace(LOCAL, pid=4800, namespace_pids=(4800,), ppid=4711)
    fleet = Fleet((WORKER, replace(WORKER, identity="web-1:4800:bb", pid=4800)), 2)
    snapshot = forked(CHILD).with_(LocalProcesses("web-1", (LOCAL, second)), fleet)

    assert diagnose("THR004", snapshot).outcome is Outcome.PASS


def test_another_user_s_worker_is_unknown() -> None:
    other = LocalProcesses("web-1", (replace(LOCAL, settings=None),))

    assert diagnose("THR004", HEALTHY.with_(other)).outcome is Outcome.UNKNOWN
