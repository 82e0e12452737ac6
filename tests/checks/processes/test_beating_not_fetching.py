"""PRO015: a queue that stands, threads that are idle, and pops that are not there."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW
from healthy.queues import QUEUE

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import Client, Clients
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot

STANDS = replace(QUEUE, size=9, oldest_at=NOW - 60)
BASIC = replace(WORKER, reliable=False)
POPS = tuple(Client(n, f"10.0.0.1:{n}", flags="b", command="brpop") for n in range(5))


def seen(*queues: Queue, fleet: tuple[Process, ...] = (BASIC,), pops: int = 0) -> Snapshot:
    fixed = HEALTHY.with_(Fleet(fleet, len(fleet)), Clients(POPS[:pops]))
    return fixed.over(10, *[Queues((one,)) for one in queues])


def test_nobody_waits_in_a_pop_and_the_queue_stands() -> None:
    [finding] = diagnose("PRO015", seen(STANDS, STANDS, STANDS)).findings

    assert finding.severity == "critical"
    assert finding.finding.subject == "process:web-1:4711:aabbccddeeff"
    assert "and nobody takes the oldest of 9 jobs of default" in finding.finding.title


def test_a_queue_that_moves_is_fetched() -> None:
    moved = replace(STANDS, oldest_at=NOW - 50)

    assert diagnose("PRO015", seen(STANDS, STANDS, moved)).outcome is Outcome.PASS
    assert diagnose("PRO015", seen(STANDS, replace(STANDS, paused=True))).outcome is Outcome.PASS


def test_one_reading_cannot_tell() -> None:
    found = diagnose("PRO015", seen(STANDS))

    assert found.outcome is Outcome.UNKNOWN
    assert "--for 20" in (found.reason or "")


def test_nobody_has_a_thread_to_spare() -> None:
    for worker in (replace(BASIC, busy=5), replace(BASIC, quiet=True), replace(BASIC, queues=("mail",))):
        assert diagnose("PRO015", seen(STANDS, STANDS, STANDS, fleet=(worker,))).outcome is Outcome.PASS


SPLIT = replace(
    WORKER,
    version="8.1.7",
    busy=1,
    queues=("mail", "default"),
    weights=((("mail", 0),), (("default", 0),)),
    capsules=(("default", 4), ("single", 1)),
    in_flight=(InFlight("t1", "default", "f" * 24, "Export", NOW - 90),),
)  # one thread for the queue that stands, and four for another


def test_idle_threads_of_another_capsule_cannot_take_it() -> None:
    idle = replace(SPLIT, busy=1, in_flight=(replace(SPLIT.in_flight[0], queue="mail"),))

    for worker in (SPLIT, replace(SPLIT, reliable=False)):
        assert diagnose("PRO015", seen(STANDS, STANDS, STANDS, fleet=(worker,))).outcome is Outcome.PASS
    assert diagnose("PRO015", seen(STANDS, STANDS, STANDS, fleet=(idle,))).outcome is Outcome.FAIL


def test_capsules_that_do_not_tell_their_threads() -> None:
    silent = replace(SPLIT, version="7.3.2", capsules=())
    found = diagnose("PRO015", seen(STANDS, STANDS, STANDS, fleet=(silent,)))

    assert found.outcome is Outcome.UNKNOWN
    assert "does not say how many threads of it take that queue" in (found.reason or "")
    idle = replace(silent, in_flight=(replace(SPLIT.in_flight[0], queue="mail"),))
    assert diagnose("PRO015", seen(STANDS, STANDS, STANDS, fleet=(idle,))).outcome is Outcome.FAIL


def test_as_many_pops_as_idle_threads_settle_nothing() -> None:
    assert diagnose("PRO015", seen(STANDS, STANDS, STANDS, pops=5)).outcome is Outcome.UNKNOWN
    second = replace(BASIC, identity="web-2:1:bb", hostname="web-2")
    both = seen(STANDS, STANDS, STANDS, fleet=(BASIC, second), pops=5)
    assert diagnose("PRO015", both).outcome is Outcome.FAIL


def test_a_fetcher_that_polls_is_known_by_the_job_that_stands() -> None:
    polling = seen(STANDS, STANDS, STANDS, fleet=(WORKER,))

    assert diagnose("PRO015", polling.without(Clients, Refused("NOPERM", "+client|list"))).outcome is Outcome.FAIL


def test_without_the_clients_or_a_fresh_beat_it_is_unknown() -> None:
    standing = seen(STANDS, STANDS, STANDS)
    old = seen(STANDS, STANDS, STANDS, fleet=(replace(BASIC, beat_age_s=30.0),))

    assert diagnose("PRO015", standing.without(Clients, Refused("NOPERM", "+client|list"))).outcome is Outcome.UNKNOWN
    assert diagnose("PRO015", old).outcome is Outcome.UNKNOWN
