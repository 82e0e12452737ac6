"""THR005: whose connection it is, and who uses it."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.host import LOCAL
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import Holder, Inheritance, LocalProcesses, SharedSocket
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

RUBY = "/usr/bin/ruby3.1"
PARENT = Holder(4711, 9, 1, RUBY, 900.0)
CHILD = Holder(4800, 9, 4711, RUBY, 30.0)


def shared(*holders: Holder, remote: str = "10.0.0.2:6379", local: str = "10.0.0.1:5000") -> Snapshot:
    return HEALTHY.with_(Inheritance((SharedSocket(local, remote, holders),)))


def test_a_child_that_was_forked_has_its_parent_s_connection() -> None:
    [finding] = diagnose("THR005", shared(PARENT, CHILD)).findings

    assert finding.severity == "critical"
    assert finding.finding.title == "2 processes have the same connection to this Redis open: pid 4711, 4800"
    assert finding.fingerprint == "THR005:process:web-1:Redis"


def test_one_that_executed_another_program_only_keeps_it() -> None:
    other = changed(CHILD, program="/usr/bin/sleep")

    assert diagnose("THR005", shared(PARENT, other)).findings[0].severity == "high"


def test_a_parent_that_is_no_worker_may_only_keep_it() -> None:
    master, worker = changed(PARENT, pid=4000), changed(CHILD, pid=4711, parent=4000)

    assert diagnose("THR005", shared(master, worker)).findings[0].severity == "high"
    second = changed(worker, pid=4712)
    assert diagnose("THR005", shared(master, worker, second)).findings[0].severity == "critical"


def test_a_web_server_s_children_share_a_connection_to_this_redis() -> None:
    master, one, two = changed(PARENT, pid=50), changed(CHILD, pid=51, parent=50), changed(CHILD, pid=52, parent=50)

    assert diagnose("THR005", shared(master, one, two)).findings[0].severity == "critical"
    elsewhere = shared(master, one, two, remote="10.0.0.3:5432", local="10.0.0.1:7")
    assert diagnose("THR005", elsewhere).outcome is Outcome.PASS


def test_a_database_s_connection_of_a_worker_counts() -> None:
    [finding] = diagnose("THR005", shared(PARENT, CHILD, remote="10.0.0.3:5432", local="10.0.0.1:7")).findings

    assert "to PostgreSQL" in finding.finding.title


def test_a_child_of_a_moment_is_about_to_execute_something() -> None:
    assert diagnose("THR005", shared(PARENT, changed(CHILD, age_s=0.02))).outcome is Outcome.PASS


def test_where_not_all_may_be_looked_into_it_is_unknown() -> None:
    assert diagnose("THR005", HEALTHY.with_(Inheritance(hidden=(4800,)))).outcome is Outcome.UNKNOWN
    assert diagnose("THR005", HEALTHY.with_(Inheritance(partial="too many"))).outcome is Outcome.UNKNOWN
    assert diagnose("THR005", HEALTHY.with_(LocalProcesses("web-9"))).outcome is Outcome.UNKNOWN
    assert diagnose("THR005", HEALTHY.with_(LocalProcesses("web-9"), Fleet())).outcome is Outcome.NOT_APPLICABLE
    assert diagnose("THR005", HEALTHY.with_(LocalProcesses("web-1", (replace(LOCAL),)))).outcome is Outcome.PASS
