"""PRO012: what is stopped, what it holds, and what only looks like it."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.moment import NOW

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

JOB = InFlight("t1", "default", "a" * 24, "SendMail", NOW - 30)
STOPPED = replace(LOCAL, state="T")
FED = replace(STOPPED, unread=(("10.0.0.1:5000", 203),))
LATE = replace(WORKER, beat_age_s=30.0)


def here(worker: LocalProcess, process: Process = WORKER) -> Snapshot:
    return HEALTHY.with_(LocalProcesses("web-1", (worker,)), Fleet((process,), 1))


def test_jobs_lie_unread_in_its_socket() -> None:
    [finding] = diagnose("PRO012", here(FED)).findings

    assert finding.severity == "high"
    assert "is stopped (state T) and holds 203 bytes from Redis that nobody has read" in finding.finding.title
    assert diagnose("PRO012", here(FED, LATE)).findings[0].severity == "critical"


def test_two_readings_that_show_it_are_critical() -> None:
    stood = LocalProcesses("web-1", (FED,))

    assert diagnose("PRO012", HEALTHY.over(10, stood, stood)).findings[0].severity == "critical"


def test_one_that_goes_on_is_healthy() -> None:
    ran = HEALTHY.over(10, LocalProcesses("web-1", (FED,)), LocalProcesses("web-1", (LOCAL,)))

    assert diagnose("PRO012", ran).outcome is Outcome.PASS


def test_jobs_in_flight_count_once_they_outlast_a_beat() -> None:
    busy = replace(WORKER, in_flight=(JOB,), in_flight_key="work")
    young = replace(WORKER, in_flight=(replace(JOB, run_at=NOW - 2),), in_flight_key="work")

    assert diagnose("PRO012", here(STOPPED, busy)).outcome is Outcome.FAIL
    assert diagnose("PRO012", here(LOCAL, busy)).outcome is Outcome.PASS
    assert diagnose("PRO012", here(STOPPED, young)).outcome is Outcome.UNKNOWN
    assert diagnose("PRO012", here(STOPPED)).outcome is Outcome.PASS


def test_they_count_by_the_last_reading() -> None:
    began = replace(JOB, run_at=NOW - 2)
    busy = replace(WORKER, in_flight=(began,), in_flight_key="work")
    later = replace(busy, beat_age_s=busy.beat_age_s + 12 if busy.beat_age_s else None)
    stood = HEALTHY.over(12, LocalProcesses("web-1", (STOPPED,)), LocalProcesses("web-1", (STOPPED,)))

    assert diagnose("PRO012", stood.over(12, Fleet((busy,), 1), Fleet((later,), 1))).findings[0].severity == "critical"


def test_replies_of_pops_that_ran_out_are_no_jobs() -> None:
    assert diagnose("PRO012", here(replace(STOPPED, unread=(("10.0.0.1:5000", 25),)))).outcome is Outcome.PASS
    assert diagnose("PRO012", here(replace(STOPPED, unread=(("10.0.0.1:9", 203),)))).outcome is Outcome.PASS


def test_a_wait_for_the_disk_is_no_stop_while_it_beats() -> None:
    waiting = replace(FED, state="D")

    assert diagnose("PRO012", here(waiting)).outcome is Outcome.PASS
    assert diagnose("PRO012", here(waiting, LATE)).outcome is Outcome.FAIL


def test_a_paused_container() -> None:
    assert diagnose("PRO012", here(replace(FED, state="S", frozen=True))).outcome is Outcome.FAIL


def test_another_user_s_is_unknown() -> None:
    other = replace(STOPPED, cwd=None, sockets=(), settings=None)

    assert diagnose("PRO012", here(other)).outcome is Outcome.UNKNOWN


def test_whose_it_is_cannot_be_told() -> None:
    stranger = replace(STOPPED, pid=99, namespace_pids=(99,), sockets=(), settings=None)
    both = HEALTHY.with_(LocalProcesses("web-1", (LOCAL, stranger)))

    assert diagnose("PRO012", both).outcome is Outcome.UNKNOWN
    elsewhere = replace(stranger, redis=("REDIS_URL=redis://redis-2:6379/0",))
    assert diagnose("PRO012", HEALTHY.with_(LocalProcesses("web-1", (LOCAL, elsewhere)))).outcome is Outcome.PASS


def test_of_another_host_only_who_beats_in_time_is_known_to_run() -> None:
    nobody = LocalProcesses("web-9", ())

    assert diagnose("PRO012", HEALTHY.with_(nobody)).outcome is Outcome.PASS
    assert diagnose("PRO012", HEALTHY.with_(nobody, Fleet((LATE,), 1))).outcome is Outcome.UNKNOWN
    assert diagnose("PRO012", HEALTHY.with_(nobody, Fleet())).outcome is Outcome.NOT_APPLICABLE
