"""QUE001: jobs wait where nobody looks, on plain facts and on a real Redis."""

import time
from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.keyspace import INSTALLATION
from healthy.moment import NOW
from healthy.queues import QUEUE
from servers import RedisServer
from states import beat, payload, push

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.keyspace import Keyspace, Stray
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

LATE = NOW - 61


def holding(name: str, oldest_at: float | None = LATE, size: int = 5) -> Snapshot:
    return HEALTHY.with_(Queues((QUEUE, Queue(name, size, oldest_at=oldest_at)), traces=("queues",)))


def test_nobody_takes_it() -> None:
    [found] = diagnose("QUE001", holding("mailers")).findings

    assert found.severity == "critical"
    assert found.fingerprint == "QUE001:queue:mailers"
    assert found.finding.title == "5 jobs wait in mailers, which no live process takes"


def test_a_list_that_nobody_registered_waits_too() -> None:
    def stray(queue: str, oldest_at: float | None = LATE, *, foreign: bool = False) -> Outcome:
        lying = replace(INSTALLATION, strays=(Stray(queue, 3, foreign, oldest_at),))
        return diagnose("QUE001", HEALTHY.with_(Keyspace((lying,), scanned=9, total=9))).outcome

    assert stray("raw") is Outcome.FAIL
    assert stray("default") is Outcome.PASS
    assert stray("raw", foreign=True) is Outcome.PASS
    assert stray("raw", None) is Outcome.UNKNOWN


def test_its_twin_is_taken() -> None:
    takes = Fleet((replace(WORKER, queues=("default", "mailers")),), 1)

    assert diagnose("QUE001", holding("mailers").with_(takes)).outcome is Outcome.PASS


@pytest.mark.parametrize("name", ["Default", "defualt", "defaults", "dEfault"])
def test_a_slip_of_the_pen_is_named(name: str) -> None:
    assert diagnose("QUE001", holding(name)).findings[0].finding.title.endswith("; default is taken")


@pytest.mark.parametrize("name", ["mail", "de", "default_low"])
def test_another_name_is_no_slip(name: str) -> None:
    assert "is taken" not in diagnose("QUE001", holding(name)).findings[0].finding.title


def test_a_young_job_waits_for_its_worker() -> None:
    found = diagnose("QUE001", holding("mailers", NOW - 10))

    assert found.outcome is Outcome.UNKNOWN
    assert found.reason == (
        "no live process takes mailers, whose oldest job waits for 10 s (to settle it: look again in 50 s)"
    )


def test_the_last_reading_counts() -> None:
    takes = Fleet((replace(WORKER, queues=("default", "mailers")),), 1)
    came = holding("mailers").over(15, Fleet((WORKER,), 1), takes)
    went = holding("mailers").over(15, takes, Fleet((WORKER,), 1))

    assert diagnose("QUE001", came).outcome is Outcome.PASS
    assert diagnose("QUE001", went).outcome is Outcome.FAIL


def test_an_empty_queue_needs_nobody() -> None:
    assert diagnose("QUE001", holding("mailers", size=0)).outcome is Outcome.PASS


def test_a_dead_process_takes_nothing() -> None:
    dead = replace(WORKER, identity="web-1:1:dead", queues=("mailers",), beat_age_s=61.0)

    assert diagnose("QUE001", holding("mailers").with_(Fleet((WORKER, dead), 2))).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (Fleet(), "PRO001"),
        (Fleet((replace(WORKER, queues=None),), 1), "does not say which queues"),
        (Fleet((replace(WORKER, beat_age_s=None, error="no beat"),), 1), "no beat"),
        (Fleet((WORKER,), 9, "1 of 9 process records were read"), "1 of 9"),
    ],
)
def test_what_was_not_read_may_take_it(fleet: Fleet, said: str) -> None:
    found = diagnose("QUE001", holding("mailers").with_(fleet))

    assert found.outcome is Outcome.UNKNOWN
    assert said in (found.reason or "")


def test_a_queue_that_is_not_readable_is_no_pass() -> None:
    assert diagnose("QUE001", holding("mailers", None)).outcome is Outcome.UNKNOWN
    partial = HEALTHY.with_(Queues((QUEUE,), partial="2,000 of 3,000 queues were read", traces=("queues",)))
    assert diagnose("QUE001", partial).outcome is Outcome.UNKNOWN


def test_a_name_of_any_bytes_is_read(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    """As a producer in another language, or another encoding, may spell it."""
    beat(redis)
    for name in (b"m\xff\x00il", "größe".encode(), "größe".encode("latin-1"), rb"a\xb"):
        redis.sadd("queues", name)
        redis.lpush(b"queue:" + name, payload(enqueued_at=time.time() - 120))

    found = check(redis_server.url, "--select", "QUE001,QUE014,RED005")

    subjects = {one["subject"] for one in found.result("QUE001")["findings"]}
    assert subjects == {r"queue:m\xff␀il", "queue:größe", r"queue:gr\xf6\xdfe", r"queue:a\xb"}


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    push(redis)
    assert check(redis_server.url, "--select", "QUE001").outcome("QUE001") == "pass"

    redis.sadd("queues", "mailers")
    redis.lpush("queue:mailers", payload(queue="mailers", enqueued_at=time.time() - 120))

    found = check(redis_server.url, "--select", "QUE001")
    assert found.status == 1
    assert found.severities("QUE001") == ["critical"]
