"""QUE011: megabytes in a payload."""

import pytest
import redis as redis_py
from doctoring import check
from healthy.queues import QUEUE
from jobs import job, queues, sampled
from servers import RedisServer
from states import payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import JobSet, Place, Queue
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

KIB = 1024


def sized(*sizes: int, traces: int = 0) -> Snapshot:
    jobs = (job(number, size_bytes=size + traces, backtrace_bytes=traces) for number, size in enumerate(sizes))
    return sampled(Place("queue:default", len(sizes), tuple(jobs)))


@pytest.mark.parametrize(
    ("sizes", "severities"),
    [
        ([200] * 20, []),
        ([10 * KIB] * 20, []),
        ([10 * KIB + 1] * 20, ["low"]),
        ([200] * 100 + [101 * KIB], ["low"]),
        ([200] * 100 + [1025 * KIB], ["medium"]),
    ],
)
def test_by_size(sizes: list[int], severities: list[str]) -> None:
    assert [one.severity for one in diagnose("QUE011", sized(*sizes)).findings] == severities


def test_backtraces_are_counted_apart() -> None:
    assert diagnose("QUE011", sized(*[200] * 20, traces=20 * KIB)).outcome is Outcome.PASS


def test_what_is_too_large_to_be_read_is_weighed() -> None:
    unread = Place("queue:big", 3, unread="its payloads hold 3000000 bytes on average")
    heavy = sampled(unread).with_(queues(Queue("big", 3, average_bytes=3e6)))

    assert [one.severity for one in diagnose("QUE011", heavy).findings] == ["medium"]
    assert diagnose("QUE011", sampled(unread).with_(queues(QUEUE))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("name", ["retry", "schedule"])
def test_what_failed_may_be_large_by_its_backtrace(name: str) -> None:
    unread = Place(name, 1, unread="its members hold 150000 bytes on average")
    heavy = sampled(unread).with_(queues(sets={name: JobSet(name, 1, average_bytes=150_000.0)}))

    assert diagnose("QUE011", heavy).outcome is (Outcome.UNKNOWN if name == "retry" else Outcome.FAIL)


@pytest.mark.parametrize(("size", "severities"), [(9, []), (120, ["low"]), (1100, ["medium"]), (9000, ["medium"])])
def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer, size: int, severities: list[str]) -> None:
    redis.sadd("queues", "default")
    redis.lpush("queue:default", payload(args=["x" * size * KIB]))

    assert check(redis_server.url, "--select", "QUE011").severities("QUE011") == severities
