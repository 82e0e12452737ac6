"""SEC002: a key in the queue."""

import pytest
import redis as redis_py
from doctoring import check
from jobs import job, sampled
from servers import RedisServer
from states import payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import Argument, Place, Trait
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.probes.queues.arguments import told

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0." + "a1B2" * 10


@pytest.mark.parametrize(
    ("trait", "severity"), [(Trait.SECRET, "high"), (Trait.NAMED, "medium")], ids=["its form", "its name"]
)
def test_a_job_carries_one(trait: Trait, severity: str) -> None:
    one = job(1, arguments=(Argument("args[0].token", trait, "GitHub token" if trait is Trait.SECRET else ""),))
    [found] = diagnose("SEC002", sampled(Place("queue:a", 1, (one,)))).findings

    assert (found.severity, found.fingerprint) == (severity, "SEC002:job:SendMail")


def test_an_encrypted_argument_is_not_seen() -> None:
    assert diagnose("SEC002", sampled(Place("queue:a", 1, (job(1, encrypted=True),)))).outcome is Outcome.UNKNOWN
    assert told([1, "ghp_" + "a" * 36], encrypted=True) == ()


@pytest.mark.parametrize(
    "value",
    [
        "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "AKIA" + "QYLPMN5HHHFPZAM2",
        "ghp_" + "a1B2" * 9,
        "glpat-" + "abcdefghij0123456789",
        "xoxb-" + "123456789012-abcdefghij",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIE",
        JWT,
    ],
)
def test_forms(value: str) -> None:
    [found] = told([{"a": [value]}])

    assert (found.path, found.trait) == ("args[0].a[0]", Trait.SECRET)


@pytest.mark.parametrize(
    "value",
    [
        "sk_test_" + "4eC39HqLyjWDarjtT1zdp7dc",
        "AKIAIOSFODNN7EXAMPLE",
        "b6f0c1de-0000-4000-8000-0123456789ab",
        "d41d8cd98f00b204e9800998ecf8427e",
        "eyJub3QiOiJhIGp3dCJ9",
        "token",
    ],
)
def test_what_is_none(value: str) -> None:
    assert told([value]) == ()


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("password", "hunter2", 1),
        ("api_key", "abc-123", 1),
        ("accessToken", "abc-123", 1),
        ("ssn", 123456789, 1),
        ("password", None, 0),
        ("password", "", 0),
        ("password", True, 0),
        ("password", "[FILTERED]", 0),
        ("reset_token", "b6f0c1de-0000-4000-8000-0123456789ab", 0),
        ("token_count", 5, 0),
        ("password_digest", "x", 0),
        ("encrypted_password", "x", 0),
        ("key", "value", 0),
        ("cache_key", "value", 0),
    ],
)
def test_names(name: str, value: object, count: int) -> None:
    assert len(told([{name: value}])) == count


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.sadd("queues", "default")
    redis.lpush("queue:default", payload(args=[{"user_id": 7}]))
    assert check(redis_server.url, "--select", "SEC002").outcome("SEC002") == "pass"

    redis.lpush(
        "queue:default", payload("Sync", args=["ghp_" + "a1B2" * 9]), payload("Login", args=[{"password": "hunter2"}])
    )

    found = check(redis_server.url, "--select", "SEC002")
    assert sorted(found.severities("SEC002")) == ["high", "medium"]
    assert "hunter2" not in found.out
    assert "a1B2a1B2" not in found.out
