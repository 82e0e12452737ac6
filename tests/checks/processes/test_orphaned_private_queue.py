"""PRO014: jobs that only the dead hold, on plain facts, on a real Redis, and beside a killed worker of ours."""

import time

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from servers import RedisServer
from states import JID, beat, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import PrivateList, PrivateLists
from kiqdoctor.doctor.report import Outcome, Result

PRO = "Sidekiq Pro super_fetch"
GONE = "web-9:12:aabbccddeeff"


def orphan(kind: str = PRO, owner: str = GONE, *, signed: bool = False, jids: tuple[str, ...] = ("a",)) -> PrivateList:
    return PrivateList("queue:sq|x|mail", kind, 2, owner, "mail", owner, signed, jids=jids)


def judged(*lists: PrivateList, keepers: int = 0, apart_s: float = 0.0) -> Result:
    found = PrivateLists(lists, tuple((one.kind, keepers) for one in lists))
    snapshot = HEALTHY.over(apart_s, found, found) if apart_s else HEALTHY.with_(found)
    return diagnose("PRO014", snapshot)


def test_nobody_is_left_to_take_them_back() -> None:
    [found] = judged(orphan()).findings

    assert found.severity == "critical"
    assert found.finding.subject == "queue:mail"
    assert found.fingerprint == f"PRO014:queue:mail:web-9:{PRO}"


@pytest.mark.parametrize("twin", [orphan(signed=True), orphan(owner=WORKER.identity), orphan(owner="web-1:4711")])
def test_its_twin_s_owner_lives(twin: PrivateList) -> None:
    assert judged(twin).outcome is Outcome.PASS


def test_an_owner_of_another_pid_is_another() -> None:
    assert judged(orphan(owner="web-1:471")).outcome is Outcome.FAIL
    assert judged(orphan("Exq", owner="web-1")).outcome is Outcome.FAIL


def test_a_living_process_may_still_take_them_back() -> None:
    found = judged(orphan(), keepers=1)

    assert found.outcome is Outcome.UNKNOWN
    assert "--baseline-run FILE, recorded 3600 s before" in (found.reason or "")


@pytest.mark.parametrize(("kind", "apart_s", "outcome"), [
    (PRO, 3600.0, Outcome.FAIL),
    (PRO, 600.0, Outcome.UNKNOWN),
    ("kiqdoctor", 30.0, Outcome.FAIL),
    ("kiqdoctor", 20.0, Outcome.UNKNOWN),
])  # fmt: skip
def test_one_recovery_period_is_waited_for(kind: str, apart_s: float, outcome: Outcome) -> None:
    assert judged(orphan(kind), keepers=1, apart_s=apart_s).outcome is outcome


def test_other_jobs_lie_there_each_time() -> None:
    before, after = (PrivateLists((orphan(jids=(jid,)),), ((PRO, 1),)) for jid in ("a", "b"))

    assert diagnose("PRO014", HEALTHY.over(3600.0, before, after)).outcome is Outcome.UNKNOWN


def test_a_layout_that_nobody_knows_is_unknown() -> None:
    assert judged(PrivateList("queue:mail|web|3", "", 1)).outcome is Outcome.UNKNOWN


def test_keys_that_were_not_looked_at_may_hold_some() -> None:
    short = PrivateLists(partial="only 200000 keys of the database were looked at")

    assert diagnose("PRO014", HEALTHY.with_(short)).outcome is Outcome.UNKNOWN


LISTS = {
    "sidekiq-pro": ("queue:sq|web-9:12:aabbccddeeff|mail", "web-9:12:aabbccddeeff"),
    "gitlab": ("working:queue:mail:web-9:12:aabbccddeeff", "reliable-fetcher-heartbeat-web-9-12-aabbccddeeff"),
    "gitlab, long ago": ("working:queue:mail:web-9:12", "reliable-fetcher-heartbeat-web-9-12"),
    "unique-jobs 9": ("uniquejobs:working:web-9:12:aabbccddeeff", "uniquejobs:heartbeat:web-9:12:aabbccddeeff"),
    "exq": ("queue:backup::web-9::mail", ":web-9"),
    "ours": ("kiq:taken:web-9:12:aabbccddeeff:0:mail", "kiq:lease:web-9:12:aabbccddeeff"),
}


@pytest.mark.parametrize("layout", LISTS)
def test_every_layout_on_a_real_redis(layout: str, redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    key, sign = LISTS[layout]
    beat(redis)
    redis.lpush(key, payload(queue="mail", enqueued_at=time.time() - 900))

    ill = check(redis_server.url, "--select", "PRO014")
    assert ill.severities("PRO014") == ["critical"]
    assert JID in str(ill.result("PRO014")["findings"])

    redis.set(sign, 1)
    assert check(redis_server.url, "--select", "PRO014").outcome("PRO014") == "pass"


@pytest.mark.parametrize("layout", ["gitlab", "gitlab, long ago", "unique-jobs 9"])
def test_a_gem_s_process_is_known_by_host_and_pid(
    layout: str, redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    """Its nonce is not Sidekiq's."""
    _, sign = LISTS[layout]
    beat(redis, "web-9:12:ffffffffffff")

    assert check(redis_server.url, "--select", "CFG003").outcome("CFG003") == "fail"
    redis.set(sign, 1)
    assert check(redis_server.url, "--select", "CFG003").outcome("CFG003") == "pass"


def test_a_registered_queue_of_an_odd_name_is_no_private_list(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    redis.sadd("queues", "a|b")
    redis.lpush("queue:a|b", payload(queue="a|b"))

    assert check(redis_server.url, "--select", "PRO014").outcome("PRO014") == "pass"


def test_what_go_workers_took_is_no_queue_and_nobody_s_fault(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    """Its processes sign nowhere, and run what lies there at their next start."""
    beat(redis)
    redis.sadd("queues", "default")
    redis.lpush("queue:default:1:inprogress", payload(enqueued_at=time.time() - 300))

    found = check(redis_server.url, "--select", "PRO014,QUE001,NSP005,NSP001")

    assert {one: found.outcome(one) for one in ("QUE001", "NSP005", "NSP001")} == {
        "QUE001": "pass", "NSP005": "pass", "NSP001": "pass",
    }  # fmt: skip
    assert "go-workers took as 1" in found.result("PRO014")["reason"]
