"""A Redis user who may do little: nothing is accused for it, nothing passes for it, and what is missing is named."""

import pytest
import redis as redis_py
from doctoring import Examination, check
from servers import RedisServer
from states import beat, push

USER, PASSWORD = "reader", "Tr0ub4dor"


def examined(redis: redis_py.Redis, server: RedisServer, keys: str, *may: str) -> Examination:
    beat(redis)
    push(redis, "mail")
    redis.acl_setuser(USER, reset=True, enabled=True, passwords=[f"+{PASSWORD}"], keys=[keys], categories=may)
    return check(f"redis://{USER}:{PASSWORD}@127.0.0.1:{server.port}/0")


def grave(run: Examination) -> set[str]:
    return {
        one["check"]
        for one in run.report["results"]
        for found in one["findings"]
        if found["severity"] in {"medium", "high", "critical"}
    }


@pytest.mark.parametrize("rules", [("*", "+@read"), ("*",), ("queue:*", "+@all")])
def test_a_server_that_knows_us_and_allows_little_is_reached(
    rules: tuple[str, ...], redis: redis_py.Redis, redis_server: RedisServer
) -> None:
    run = examined(redis, redis_server, *rules)

    assert run.status == 0, run.out
    assert grave(run) <= {"RED006"}  # whoever may ask for INFO sees that this server keeps nothing on disk
    assert run.outcome("RED001") == "pass"
    assert run.outcome("QUE001") == "unknown"


def test_read_permissions_alone_show_what_can_be_read(redis: redis_py.Redis, redis_server: RedisServer) -> None:
    run = examined(redis, redis_server, "*", "+@read")

    assert run.outcome("PRO001") == "pass"
    assert "+ping" in run.result("RED009")["reason"]
    assert f"ACL SETUSER {USER} +time" in run.result("QUE001")["reason"]


def test_a_key_that_may_not_be_read_is_named(redis: redis_py.Redis, redis_server: RedisServer) -> None:
    run = examined(redis, redis_server, "queue:*", "+@all")

    assert f"ACL SETUSER {USER} ~processes" in run.result("PRO001")["reason"]
