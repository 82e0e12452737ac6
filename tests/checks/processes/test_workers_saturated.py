"""PRO005: full for how long, who takes the queue, and whether anything waits."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW
from healthy.queues import QUEUE

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

FULL = replace(WORKER, busy=5)
IDLE = replace(WORKER, busy=4)
MAILER = replace(WORKER, identity="web-2:1:bb", hostname="web-2", queues=("mail",))
WAITS = replace(QUEUE, size=50, oldest_at=NOW - 90)


def seen(*moments: Process, also: tuple[Process, ...] = (), queues: tuple[Queue, ...] = (WAITS,)) -> Snapshot:
    fleets = [Fleet((one, *also), 1 + len(also)) for one in moments]
    clock = ServerTime(NOW, NOW)
    return HEALTHY.with_(Queues(queues), clock).over(10, *fleets)


def test_full_three_times_and_a_queue_that_waits() -> None:
    [finding] = diagnose("PRO005", seen(FULL, FULL, FULL)).findings

    assert finding.severity == "medium"
    assert finding.finding.subject == "queue:default"
    assert finding.finding.title.startswith("All 5 threads that take default stay busy")


def test_one_reading_cannot_tell() -> None:
    found = diagnose("PRO005", seen(FULL))

    assert found.outcome is Outcome.UNKNOWN
    assert "--for 20" in (found.reason or "")


def test_a_thread_to_spare_at_any_time_is_healthy() -> None:
    assert diagnose("PRO005", seen(FULL, IDLE, FULL)).outcome is Outcome.PASS
    assert diagnose("PRO005", seen(IDLE)).outcome is Outcome.PASS


SPLIT = replace(
    WORKER,
    busy=1,
    queues=("mail", "default"),
    weights=((("mail", 0),), (("default", 0),)),
    capsules=(("default", 4), ("single", 1)),
    in_flight=(InFlight("t1", "default", "f" * 24, "Export", NOW - 90),),
)  # the one thread for the queue that waits is busy, and four of another queue are idle


def test_of_capsules_those_that_take_the_queue_count() -> None:
    [finding] = diagnose("PRO005", seen(SPLIT, SPLIT, SPLIT)).findings
    assert finding.finding.title.startswith("All 1 threads that take default stay busy")

    elsewhere = replace(SPLIT, in_flight=(replace(SPLIT.in_flight[0], queue="mail"),))
    assert diagnose("PRO005", seen(elsewhere, SPLIT, SPLIT)).outcome is Outcome.PASS


def test_capsules_that_do_not_tell_their_threads() -> None:
    silent = replace(SPLIT, capsules=())
    full = replace(silent, busy=5)

    assert diagnose("PRO005", seen(silent, silent, silent)).outcome is Outcome.UNKNOWN
    assert diagnose("PRO005", seen(silent, full, full)).outcome is Outcome.UNKNOWN
    assert diagnose("PRO005", seen(full, full, full)).outcome is Outcome.FAIL


def test_nothing_waits_long_enough() -> None:
    brief = (replace(WAITS, oldest_at=NOW - 30),)

    assert diagnose("PRO005", seen(FULL, FULL, FULL, queues=brief)).outcome is Outcome.PASS
    assert diagnose("PRO005", seen(FULL, FULL, FULL, queues=())).outcome is Outcome.PASS


def test_only_those_that_take_the_queue_count() -> None:
    assert diagnose("PRO005", seen(FULL, FULL, FULL, also=(MAILER,))).outcome is Outcome.FAIL
    taking_both = replace(MAILER, queues=("mail", "default"))
    assert diagnose("PRO005", seen(FULL, FULL, FULL, also=(taking_both,))).outcome is Outcome.PASS
    quiet = replace(taking_both, quiet=True)
    assert diagnose("PRO005", seen(FULL, FULL, FULL, also=(quiet,))).outcome is Outcome.FAIL


def test_old_numbers_and_jobs_of_unknown_age_settle_nothing() -> None:
    stale = replace(FULL, beat_age_s=30.0)
    ageless = (replace(WAITS, oldest_at=None),)

    assert diagnose("PRO005", seen(stale, stale, stale)).outcome is Outcome.UNKNOWN
    assert diagnose("PRO005", seen(FULL, FULL, FULL, queues=ageless)).outcome is Outcome.UNKNOWN
