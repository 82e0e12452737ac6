"""One command at a time that the server refuses: what it would have said is unknown, never nothing, never a 0."""

import json
import time
from typing import Any

import pytest
from faults import lying
from servers import RedisServer
from states import beat, in_flight, payload, push

from kiqdoctor.doctor.report import Outcome, Report
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.reporting import examination

COMMANDS = (
    "TYPE", "SCARD", "SSCAN", "EXISTS", "HSTRLEN", "HMGET", "HGETALL", "HLEN", "HEXISTS", "SISMEMBER", "PTTL", "LLEN",
    "LINDEX", "LRANGE", "ZCARD", "ZCOUNT", "ZRANGE", "SCAN", "DBSIZE", "SMEMBERS", "GET", "GETRANGE", "TIME", "INFO",
    "MEMORY", "CONFIG", "CLIENT",
)  # fmt: skip
NOT_PERMITTED = b"-NOPERM this user has no permissions to run the command\r\n"
AWAY = (
    b"-LOADING Redis is loading the dataset in memory\r\n", b"-NOAUTH Authentication required.\r\n",
    b"-BUSY Redis is busy running a script.\r\n", b"-CLUSTERDOWN The cluster is down\r\n",
    b"-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.\r\n",
)  # fmt: skip
TRENDS = {"PRO011", "PRO016", "RED009", "THR006"}  # of what changes by itself, and of the machine's load
ABOUT_REFUSALS = {"OBS002", "RED001"}


def alive(redis: Any) -> None:
    """However long a test takes."""
    beat(redis, queues=("default", "mail"))
    beat(redis, "another-host:8:bbbbbbbbbbbb", queues=("mail",), quiet="true")


@pytest.fixture
def ill(redis: Any, redis_server: RedisServer) -> RedisServer:
    """Something for many checks to find, and living processes that must not be taken for dead."""
    now = time.time()
    old: dict[str, Any] = {"enqueued_at": now - 7_200, "created_at": now - 7_200}
    push(redis, "mail")
    redis.sadd("queues", "lonely")
    redis.sadd("paused", "lonely")
    redis.rpush("queue:lonely", *(payload(queue="lonely", jid=f"{number:024x}", **old) for number in range(5)))
    alive(redis)
    in_flight(redis, "another-host:8:bbbbbbbbbbbb", 2)
    redis.sadd("processes", "gone:9:cccccccccccc")
    redis.lpush("queue:sq|gone:9:cccccccccccc|mail", payload(queue="mail", jid="c" * 24))
    redis.lpush("kiq:taken:gone:9:cccccccccccc:0:mail", payload(queue="mail", jid="d" * 24))
    failed = {**json.loads(payload(**old)), "error_class": "NameError", "error_message": "no such constant"}
    for number in range(30):
        raw = json.dumps({**failed, "jid": f"{number:024x}", "failed_at": now - 900, "retry_count": 3})
        redis.zadd("retry", {raw: now - 3_000})
        redis.zadd("dead", {raw: now - 900})
    redis.set("uniquejobs:digests", "x")
    redis.sadd("other:queues", "default")
    redis.lpush("other:queue:default", payload())
    return redis_server


def examined(url: str) -> Report:
    report = examination(Asked(redis=url, live=True))
    assert [one.reason for one in report.results if "crashed" in (one.reason or "")] == []
    return report


def found(report: Report) -> set[tuple[str, str]]:
    return {(one.check.id, reported.finding.subject) for one in report.results for reported in one.findings}


def test_what_may_not_be_asked_is_neither_a_pass_nor_a_finding(redis: Any, ill: RedisServer) -> None:
    whole = examined(ill.url)
    failing = {one.check.id for one in whole.results if one.outcome is Outcome.FAIL} - TRENDS
    assert {"NSP001", "QUE001", "QUE003", "PRO002"} & failing
    for command in COMMANDS:
        alive(redis)
        with lying(ill.port, command, NOT_PERMITTED) as url:
            report = examined(url)
        passed = {one.check.id for one in report.results if one.outcome is Outcome.PASS}
        assert failing & passed == set(), command
        new = {one for one in found(report) - found(whole) if one[0] not in {*TRENDS, *ABOUT_REFUSALS}}
        assert new == set(), command


@pytest.mark.parametrize(("said", "command"), [*zip(AWAY, ("TYPE", "EXISTS", "LLEN", "LINDEX", "ZRANGE"), strict=True)])
def test_who_answers_nobody_has_broken_off(ill: RedisServer, said: bytes, command: str) -> None:
    with lying(ill.port, command, said) as url:
        report = examined(url)
    [told] = [one for one in report.results if one.check.id == "RED001"]
    assert told.outcome is Outcome.UNKNOWN
    assert said.decode().strip("-\r\n") in (told.reason or "")
    assert f"(at {command})" in (told.reason or "")
    assert report.exit_status in {1, 3}


@pytest.mark.parametrize("said", [b"-MOVED 3999 10.0.0.7:6379\r\n", b"-unsupported command\r\n", b"-ERR\r\n"])
@pytest.mark.parametrize("command", ["TYPE", "LLEN", "EXISTS", "SSCAN"])
def test_what_a_node_or_a_proxy_does_not_answer_was_not_read(ill: RedisServer, command: str, said: bytes) -> None:
    with lying(ill.port, command, said) as url:
        report = examined(url)
    passed = {one.check.id for one in report.results if one.outcome is Outcome.PASS}
    assert passed & {"QUE001", "PRO014", "NSP001", "PRO002"} == set()
    assert {"PRO004", "NSP005"} & {check for check, _ in found(report)} == set()


STATES = (
    b"-MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist to disk.\r\n",
    b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    b"-READONLY You can't write against a read only replica.\r\n",
)


@pytest.mark.parametrize("said", STATES)
@pytest.mark.parametrize("command", ["EXISTS", "LLEN", "SCARD", "SSCAN", "TYPE", "HMGET", "HELLO"])
def test_a_server_s_state_says_nothing_of_a_key_nor_of_what_it_speaks(
    redis: Any, ill: RedisServer, command: str, said: bytes
) -> None:
    alive(redis)
    whole = examined(ill.url)
    with lying(ill.port, command, said) as url:
        report = examined(url)
    failing = {one.check.id for one in whole.results if one.outcome is Outcome.FAIL} - TRENDS
    assert failing & {one.check.id for one in report.results if one.outcome is Outcome.PASS} == set()
    new = {one for one in found(report) - found(whole) if one[0] not in {*TRENDS, *ABOUT_REFUSALS}}
    assert new == set()


@pytest.mark.parametrize("command", ["EXISTS", "TYPE"])
def test_no_key_is_of_the_wrong_type_for_every_command(ill: RedisServer, command: str) -> None:
    with lying(ill.port, command, b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n") as url:
        report = examined(url)
    passed = {one.check.id for one in report.results if one.outcome is Outcome.PASS}
    assert passed & {"QUE001", "PRO014", "NSP001", "PRO002"} == set()
    assert {"PRO004", "NSP005"} & {check for check, _ in found(report)} == set()


def test_the_healthy_twin_is_read(ill: RedisServer) -> None:
    with lying(ill.port, "", b"") as url:
        assert found(examined(url)) >= {("QUE001", "queue:lonely")}
