"""RED012: what only grows between two recordings; on plain facts and on a real Redis."""

import time
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import redis as redis_py
from doctoring import check, kiqdoctor
from healthy import HEALTHY
from servers import RedisServer
from states import beat, push

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.keyspace import Keyspace, Prefix
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.probes.keyspace.prefixes import group

RESULTS = Prefix("celery-task-meta-", 90, sampled=20, lasting=20, owner="Celery", kind="string")
STREAM = Prefix("taskiq", 1, sampled=1, lasting=1, owner="taskiq", kind="stream", length=90, pending=0)


def changed(one: Prefix, **fields: object) -> Keyspace:
    return Keyspace(scanned=99, total=99, prefixes=(msgspec.structs.replace(one, **fields),))


def grown(one: Prefix, then: Prefix) -> Snapshot:
    return HEALTHY.with_(changed(one)).after(3600, changed(then))


def test_results_that_nobody_deletes() -> None:
    [found] = diagnose("RED012", grown(RESULTS, msgspec.structs.replace(RESULTS, keys=50))).findings

    assert (found.severity, found.fingerprint) == ("medium", "RED012:keys:celery-task-meta-:keys")
    assert found.finding.title == "Keys celery-task-meta-* of Celery only grow: 50 keys then, 90 now"


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ({"lasting": 17}, {"keys": 50}),  # most of them expire
        ({}, {"keys": 81}),  # hardly any more
        ({"keys": 19}, {"keys": 2}),  # hardly any at all
        ({"own": True}, {"keys": 50}),
        ({}, {"name": "another"}),
    ],
)
def test_its_twins_do_not_grow(now: dict[str, object], then: dict[str, object]) -> None:
    twin = grown(msgspec.structs.replace(RESULTS, **now), msgspec.structs.replace(RESULTS, **then))

    assert diagnose("RED012", twin).outcome is Outcome.PASS


def test_the_application_s_own_is_information() -> None:
    own = msgspec.structs.replace(RESULTS, name="visits:", owner="")

    assert diagnose("RED012", grown(own, msgspec.structs.replace(own, keys=1))).findings[0].severity == "info"


@pytest.mark.parametrize(("pending", "then", "found"), [(0, 50, 1), (3, 50, 0), (None, 50, 0), (0, 85, 0)])
def test_a_stream_without_an_end(pending: int | None, then: int, found: int) -> None:
    snapshot = grown(msgspec.structs.replace(STREAM, pending=pending), msgspec.structs.replace(STREAM, length=then))

    assert len(diagnose("RED012", snapshot).findings) == found


def test_what_was_not_seen_is_no_pass() -> None:
    part = replace(changed(RESULTS), complete=False)

    assert "--baseline-run" in (diagnose("RED012", HEALTHY).reason or "")
    assert diagnose("RED012", HEALTHY.with_(part).after(3600, changed(RESULTS))).outcome is Outcome.UNKNOWN
    assert diagnose("RED012", HEALTHY.with_(changed(RESULTS)).after(3600, part)).outcome is Outcome.UNKNOWN
    assert diagnose("RED012", HEALTHY.without(Keyspace, Refused("NOPERM", "+scan"))).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("name", "prefix"),
    [
        ("celery-task-meta-7c2ae3e6-1ce1-4c5e-9d6e-0f1f3c1f2a77", "celery-task-meta-"),
        ("app:cache:user:12", "app:cache:user:"),
        ("rq:job:0b1d", "rq:job:"),
        ("session:Zk3mB81xQa", "session:"),
        ("visits:2026-11-27", "visits:"),
        ("user:alice", "user:"),
        ("taskiq", "taskiq"),
        ("123:x", "123:"),
        ("v2:users", "v2:"),
    ],
)
def test_what_stands_before_an_id(name: str, prefix: str) -> None:
    assert group(name) == prefix


def test_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path) -> None:
    beat(redis)
    push(redis)
    before = str(tmp_path / "before.json")
    earlier = ("--baseline-run", before)
    for number in range(30):
        redis.set(f"celery-task-meta-{number:032x}", "1")
        redis.set(f"page/{number}000", "1", ex=600)
    assert kiqdoctor("record", before, "--live", "--redis", redis_server.url).status == 0
    time.sleep(0.01)
    assert check(redis_server.url, "--select", "RED012", *earlier).outcome("RED012") == "pass"

    for number in range(30, 60):
        redis.set(f"celery-task-meta-{number:032x}", "1")
        redis.set(f"page/{number}000", "1", ex=600)
    found = check(redis_server.url, "--select", "RED012", *earlier).result("RED012")

    assert [one["subject"] for one in found["findings"]] == ["keys:celery-task-meta-"]
