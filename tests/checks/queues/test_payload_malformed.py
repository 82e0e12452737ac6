"""QUE010: what no worker can run."""

from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy.fleet import WORKER
from healthy.moment import NOW
from jobs import job, sampled
from servers import RedisServer
from states import payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Place, Stamps
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

BROKEN = {
    "not JSON": b"{not json",
    "no object": b"[1,2]",
    "no class": b'{"args":[],"jid":"aa","retry":true}',
    "no args": b'{"class":"A","jid":"aa","retry":true}',
    "args no list": b'{"class":"A","args":{},"jid":"aa","retry":true}',
    "no jid": b'{"class":"A","args":[],"retry":true}',
    "retry a text": b'{"class":"A","args":[],"jid":"aa","retry":"5"}',
    "at": b'{"class":"A","args":[],"jid":"aa","at":1795471663.5}',
    "no UTF-8": b'{"class":"A","args":["\xff\xfe"],"jid":"aa"}',
}


def mixed(*versions: str, queue: str = "default", newest: float = 3600.0) -> Snapshot:
    stamps = (Stamps.SECONDS, Stamps.MILLISECONDS)
    jobs = tuple(job(number, stamps=kind) for number, kind in enumerate(stamps))
    fleet = tuple(
        replace(WORKER, identity=f"web-{one}:1:aa", version=one, started_at=NOW - (newest if one[:1] == "8" else 9000))
        for one in versions
    )
    return sampled(Place(f"queue:{queue}", 2, jobs)).with_(Fleet(fleet, len(fleet)))


def test_in_the_dead_set_it_is_out_of_the_way() -> None:
    broken = job(1, flaws=("not JSON",), outline="{*** ***")

    assert [one.severity for one in diagnose("QUE010", sampled(Place("dead", 1, others=(broken,)))).findings] == [
        "medium"
    ]


def test_resque_is_told_elsewhere() -> None:
    resque = job(1, keys=("args", "class"), flaws=("no jid",))

    assert diagnose("QUE010", sampled(Place("queue:a", 1, (resque,)))).outcome is Outcome.PASS


def test_a_few_of_many_say_nothing() -> None:
    few = Place("queue:a", 11, tuple(job(number) for number in range(9)))

    assert diagnose("QUE010", sampled(few)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("snapshot", "severities"),
    [
        (mixed("8.1.7"), []),
        (mixed("7.3.2", "8.1.7"), ["medium"]),
        (mixed("7.3.2", "8.1.7", newest=60), ["info"]),  # a rolling upgrade
        (mixed("", "8.1.7", newest=901), ["medium"]),
        (mixed("7.3.2", "8.1.7", queue="new"), ["info"]),
        (mixed(""), ["medium"]),
    ],
)
def test_stamps_of_two_versions(snapshot: Snapshot, severities: list[str]) -> None:
    assert [one.severity for one in diagnose("QUE010", snapshot).findings] == severities


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer, raw: bytes) -> None:
    redis.sadd("queues", "default")
    redis.lpush("queue:default", raw, payload())

    found = check(redis_server.url, "--select", "QUE010")

    assert found.severities("QUE010") == ["high"]
    assert "broken" in found.result("QUE010")["findings"][0]["title"]


def test_what_every_version_writes_is_sound(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.sadd("queues", "default")
    redis.lpush("queue:default", *[payload(retry=retry) for retry in (True, False, 0, 25, None)])
    redis.zadd("schedule", {payload(at=1.5): 2e9})

    assert check(redis_server.url, "--select", "QUE010").outcome("QUE010") == "pass"


def test_no_value_is_shown(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.sadd("queues", "default")
    redis.lpush("queue:default", b'{"class":"A","args":["4111-1111-hunter2"],"jid":"aa", oops')

    found = check(redis_server.url, "--select", "QUE010")

    assert found.outcome("QUE010") == "fail"
    assert "hunter2" not in found.out
    assert "4111" not in found.out
