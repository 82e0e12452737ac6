"""What is read of queues and sets, and what of it is kept."""

import json
import time
from collections.abc import Iterator

import pytest
import redis as redis_py
from hypothesis import example, given
from hypothesis.strategies import (
    binary,
    booleans,
    dictionaries,
    floats,
    integers,
    lists,
    none,
    one_of,
    recursive,
    sampled_from,
    text,
)
from servers import RedisServer
from states import payload

from kiqdoctor.connection import ReadOnlyConnection, resolve_url
from kiqdoctor.doctor.facts.queues import Samples, Stamps
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.probes.door import Door
from kiqdoctor.probes.queues.payloads import sample, shape
from kiqdoctor.probes.queues.queues import queues
from kiqdoctor.probes.queues.samples import samples

FIELDS = (
    *("class", "args", "jid", "queue", "retry", "wrapped", "display_class", "created_at", "failed_at", "at"),
    *("error_class", "error_message", "error_backtrace", "retry_count", "retry_for", "overrated", "recovered"),
    *("recovered_at", "encrypt", "enqueued_at", "retried_at"),
)


@pytest.fixture
def door(redis: "redis_py.Redis", redis_server: RedisServer) -> Iterator[Door]:
    connection = ReadOnlyConnection(resolve_url(redis_server.url, {}))
    connection.open()
    yield Door(connection, None)
    connection.close()


def read(door: Door) -> Samples:
    clock = ServerTime(time.time(), time.time())
    found = samples.read(door, queues.read(door, clock), clock)
    assert isinstance(found, Samples)
    return found


@pytest.mark.parametrize(("size", "looked"), [(1, 1), (200, 200), (399, 399), (450, 400), (5000, 500)])
def test_each_job_of_a_queue_once(redis: "redis_py.Redis", door: Door, size: int, looked: int) -> None:
    redis.sadd("queues", "a")
    redis.rpush("queue:a", *[payload(jid=f"{number:024x}") for number in reversed(range(size))])

    place = read(door).place("queue:a")
    jids = [one.jid for one in place.sample]

    assert len(jids) == len(set(jids)) == looked
    assert place.oldest[0].jid == f"{0:024x}"
    assert place.whole == (looked == size)
    assert all(redis.lindex("queue:a", one.place or 0) for one in place.sample)


def test_a_set_is_drawn_and_its_next_minutes_are_counted(redis: "redis_py.Redis", door: Door) -> None:
    now = time.time()
    redis.zadd("retry", {payload(jid=f"{number:024x}"): now + number for number in range(1200)})

    place = read(door).place("retry")

    assert 400 < len(place.others) == len({one.jid for one in place.others}) <= 600
    assert sum(place.due) == pytest.approx(600, abs=5)
    assert all((one.score or 0) <= now + 605 for one in place.soon)
    assert len(place.soon) == 200


def test_a_small_set_is_read_whole(redis: "redis_py.Redis", door: Door) -> None:
    redis.zadd("dead", {payload(jid=f"{number:024x}"): 1e9 + number for number in range(1000)})

    place = read(door).place("dead")

    assert place.whole
    assert {one.jid for one in place.others} == {f"{number:024x}" for number in range(1000)}


def test_many_queues_share_one_budget(redis: "redis_py.Redis", door: Door) -> None:
    names = [f"q{number}" for number in range(300)]
    redis.sadd("queues", *names)
    with redis.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.lpush(f"queue:{name}", *[payload(queue=name)] * 30)
        pipe.execute()

    found = read(door)

    assert found.looked <= 4_100
    assert "100 of 300 queues" in found.partial


def test_members_that_are_giants_are_not_read(redis: "redis_py.Redis", door: Door) -> None:
    redis.sadd("queues", "a")
    redis.lpush("queue:a", *["x" * 3_000_000] * 2)

    assert "bytes on average" in read(door).place("queue:a").unread


def written(**fields: object) -> bytes:
    return payload(**fields).encode()  # type: ignore[arg-type]


@given(
    dictionaries(
        sampled_from(FIELDS),
        recursive(
            one_of(none(), booleans(), integers(), floats(allow_nan=False), text(max_size=40)),
            lambda inner: one_of(lists(inner, max_size=4), dictionaries(text(max_size=8), inner, max_size=4)),
            max_leaves=8,
        ),
    )
)
@example({"class": "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper", "args": [{"arguments": None}]})
@example({"class": "A", "args": [{"": {"password": [1]}}], "error_message": "***", "created_at": 10**30})
def test_any_object_is_a_sample(fields: dict[str, object]) -> None:
    raw = json.dumps(fields).encode()

    assert sample(raw, score=1.0).size_bytes == len(raw)


@given(binary(max_size=200))
def test_any_bytes_are_a_sample(raw: bytes) -> None:
    found = sample(raw)

    assert found.size_bytes == len(raw)
    assert found.flaws or found.error or found.keys == () or found.job_class


@pytest.mark.parametrize(
    ("stamp", "kind"),
    [
        (1795471663.5, Stamps.SECONDS),
        (1795471663500, Stamps.MILLISECONDS),
        (1795471663, Stamps.WHOLE),
        ("now", Stamps.NONE),
    ],
)
def test_how_times_are_written(stamp: object, kind: Stamps) -> None:
    found = sample(written(created_at=stamp, enqueued_at=stamp))

    assert found.stamps is kind
    if kind is Stamps.NONE:
        assert found.enqueued_at is None
    else:
        assert found.enqueued_at == pytest.approx(1795471663.5, abs=0.5)


def test_no_argument_is_kept() -> None:
    secret = {"card": "4111111111111111", "name": "Ada Lovelace"}
    found = sample(
        written(args=[secret, 42], error_class="E", error_message="no card 4111111111111111 of Ada Lovelace, 42")
    )

    kept = json.dumps(str(found))
    assert "4111" not in kept
    assert "Lovelace" not in kept
    assert found.message == "no card *** of ***, ***"


def test_the_same_job_has_the_same_digest() -> None:
    one, same, other = (sample(written(args=[n], jid=str(j))) for n, j in ((1, 1), (1, 2), (2, 3)))

    assert one.digest == same.digest != other.digest
    assert sample(written(args=[])).digest == ""


def test_whether_an_error_blames_the_class() -> None:
    def blames(job_class: str, message: str) -> bool:
        return sample(written(job_class=job_class, error_message=message)).blames_class

    assert blames("Shop::Charge", "uninitialized constant Shop::Charge")
    assert blames("Shop::Charge", "uninitialized constant Shop")
    assert blames("shop.tasks.charge", "No module named 'shop.tasks'")
    assert blames("Charge", "no job is called Charge; modules with jobs that were imported: none")
    assert not blames("Shop::Charge", "uninitialized constant Invoice")
    assert not blames("Charge", "undefined local variable `recharge'")


def test_what_may_be_a_value_is_masked() -> None:
    assert shape("wrong number of arguments (given 3, expected 2)", ["ab"]) == (
        "wrong number of arguments (given 3, expected 2)"
    )
    assert shape("user bob@example.org has 'x' and \"y\" 123456", []) == "user *** has *** and *** ***"
