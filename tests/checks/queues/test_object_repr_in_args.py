"""QUE012: an object's text where data should be."""

import base64
import pickle

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

TEXT = Argument("args[0]", Trait.OBJECT, "Ruby object")
PICKLED = base64.b64encode(pickle.dumps({"a": [1, 2]}, protocol=4)).decode()


def test_two_jobs_have_it() -> None:
    two = tuple(job(number, arguments=(TEXT,)) for number in range(2))
    [found] = diagnose("QUE012", sampled(Place("queue:a", 2, two))).findings

    assert (found.severity, found.finding.subject) == ("high", "job:SendMail")


def test_one_job_may_be_a_text() -> None:
    assert diagnose("QUE012", sampled(Place("queue:a", 1, (job(1, arguments=(TEXT,)),)))).outcome is Outcome.PASS


def test_an_encrypted_argument_is_not_seen() -> None:
    assert diagnose("QUE012", sampled(Place("queue:a", 1, (job(1, encrypted=True),)))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ("#<User:0x000055d0c0ffee12>", "Ruby object"),
        ("#<Shop::User:0x000055d0c0ffee12 @id=1>", "Ruby object"),
        ("<shop.models.Order object at 0x7f3a2c1d>", "Python object"),
        ("<QuerySet [<User: a>]>", "Django query set"),
        ("--- !ruby/object:User\nid: 1\n", "Ruby object in YAML"),
        (PICKLED, "Python pickle"),
        (base64.b64encode(pickle.dumps({"a": [1, "b"]}, protocol=5)).decode(), "Python pickle"),
        (pickle.dumps([1], protocol=4).decode("latin-1"), "Python pickle"),
    ],
)
def test_forms(value: str, form: str) -> None:
    assert told([{"deep": [value]}]) == (Argument("args[0].deep[0]", Trait.OBJECT, form),)


@pytest.mark.parametrize(
    "value",
    [
        "Dear #<User:0x000055d0c0ffee12>, hello",
        "#<User>",
        "<p>object at 0x1</p>",
        "see <shop.Order object at 0x7f3a2c1d> in the log",
        "--- notes ---",
        "gASsomething-else",
        "gAS" + "a" * 61,
        "gAVel-shaped, not a pickle",
        "",
    ],
)
def test_texts_are_none(value: str) -> None:
    assert told([value]) == ()


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.sadd("queues", "default")
    redis.lpush("queue:default", *[payload(jid=f"{n:024x}", args=[f"#<User:0x0000{n}5d0c0ffee>"]) for n in (1, 2)])

    found = check(redis_server.url, "--select", "QUE012")

    assert found.severities("QUE012") == ["high"]
    assert "c0ffee" not in found.out
