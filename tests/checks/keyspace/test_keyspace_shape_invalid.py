"""NSP005: types that are not Sidekiq's, queues that nobody registered; on plain facts and on a real Redis."""

from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.keyspace import INSTALLATION
from healthy.queues import QUEUE
from servers import RedisServer
from states import beat, payload, push

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.keyspace import Keyspace, ReservedKeys, Stray
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot


def holding(**fields: object) -> Snapshot:
    found = replace(INSTALLATION, **fields)  # type: ignore[arg-type]
    return HEALTHY.with_(Keyspace((found,), scanned=9, total=9))


def test_a_reserved_key_of_another_type() -> None:
    odd = ReservedKeys(found=(("retry", "list"),), odd=(("retry", "list", "zset"),))
    [found] = diagnose("NSP005", HEALTHY.with_(odd)).findings

    assert (found.severity, found.fingerprint) == ("critical", "NSP005:redis:retry")
    assert found.finding.title == "The key retry holds a list, where Sidekiq keeps a zset"


def test_a_registered_queue_of_another_type() -> None:
    hash_ = Queues((QUEUE, replace(QUEUE, name="mail", kind="hash")), traces=("queues",))

    assert diagnose("NSP005", HEALTHY.with_(hash_)).findings[0].fingerprint == "NSP005:redis:queue:mail"


def test_a_queue_that_nobody_registered() -> None:
    [found] = diagnose("NSP005", holding(strays=(Stray("raw", 3),))).findings

    assert (found.severity, found.fingerprint) == ("high", "NSP005:queue:raw:unregistered")
    assert diagnose("NSP005", holding(strays=(Stray("elixir", 3, foreign=True),))).outcome is Outcome.PASS
    assert diagnose("NSP005", holding(prefix="other", strays=(Stray("raw", 3),))).outcome is Outcome.PASS


def test_what_was_not_looked_at_is_no_pass() -> None:
    part = HEALTHY.with_(Keyspace((INSTALLATION,), scanned=9, total=99, complete=False))
    unread = HEALTHY.without(Queues, Refused("NOPERM", "+type"))

    assert diagnose("NSP005", part).outcome is Outcome.UNKNOWN
    assert diagnose("NSP005", holding(unchecked=7)).outcome is Outcome.UNKNOWN
    assert diagnose("NSP005", unread).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("name", ["queues", "schedule", "dead", "paused", "processes"])
def test_on_a_real_redis_a_string_in_its_place(redis: "redis_py.Redis", redis_server: RedisServer, name: str) -> None:
    beat(redis)
    push(redis)
    redis.delete(name)
    redis.set(name, "mine")

    found = check(redis_server.url, "--select", "NSP005").result("NSP005")

    assert [(one["severity"], one["fingerprint"]) for one in found["findings"]] == [
        ("critical", f"NSP005:redis:{name}")
    ]


def test_on_a_real_redis_raw_pushes_and_those_of_others(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    push(redis)
    redis.sadd("queues", "empty")
    redis.lpush("queue:elixir", payload(queue="elixir", jid="7c2ae3e6-1ce1-4c5e-9d6e-0f1f3c1f2a77"))
    redis.lpush("queue:sq|host:1:abc|default", payload())
    redis.hset("queue:horizon", "a", "b")
    assert check(redis_server.url, "--select", "NSP005").outcome("NSP005") == "pass"

    redis.lpush("queue:raw", payload(queue="raw"))
    assert check(redis_server.url, "--select", "NSP005").severities("NSP005") == ["high"]

    redis.sadd("queues", "raw")
    assert check(redis_server.url, "--select", "NSP005").outcome("NSP005") == "pass"
