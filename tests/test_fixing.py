"""`fix` on a real Redis: plan, export, change, the doctor's second look, the way back, whatever breaks meanwhile."""

import json
import stat
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
import redis as redis_py
from doctoring import kiqdoctor
from faults import Proxy
from servers import RedisServer

from kiqdoctor.actions.applying import TRIES, Applying
from kiqdoctor.actions.exact import Change, Edit, Entry, Export, Guard, Step, dump, load
from kiqdoctor.clock import SYSTEM
from kiqdoctor.connection import resolve_url
from kiqdoctor.examining.fixing import carried_out

GHOST: Final = "web-9:77:abcdefabcdef"
JOBS: Final = [
    json.dumps({"class": "Mail", "args": [n], "queue": "mail", "jid": f"{n:024x}", "created_at": 1.5}).encode()
    for n in range(3)
]


def fixed(server: RedisServer, *words: str) -> tuple[int, dict[str, Any]]:
    ran = kiqdoctor("fix", "--redis", server.url, "--format", "json", *words)
    return ran.status, json.loads(ran.out)


def contents(redis: Any) -> dict[bytes, bytes]:
    """Every key but our own, as Redis dumps it."""
    return {key: redis.dump(key) for key in sorted(redis.keys("*")) if not key.startswith(b"kiq:fix:")}


def ghost(redis: "redis_py.Redis") -> None:
    redis.sadd("processes", GHOST)


def pause(redis: "redis_py.Redis") -> None:
    job = json.dumps({"class": "A", "args": [], "jid": "a" * 24, "queue": "slow", "enqueued_at": time.time() - 9_000})
    redis.sadd("queues", "slow")
    redis.lpush("queue:slow", job)
    redis.sadd("paused", "slow")


def private(redis: "redis_py.Redis") -> None:
    redis.rpush(f"queue:sq|{GHOST}|mail", *JOBS)


def in_flight(redis: "redis_py.Redis") -> None:
    redis.sadd("processes", GHOST)
    work = {"queue": "mail", "payload": JOBS[0].decode(), "run_at": int(time.time())}
    redis.hset(f"{GHOST}:work", "t1", json.dumps(work))
    redis.expire(f"{GHOST}:work", 600)


CASES: Final = {"PRO002": ghost, "QUE003": pause, "PRO014": private, "PRO008": in_flight}


@pytest.mark.parametrize("check", CASES)
def test_a_fault_is_mended_and_put_back(
    check: str, redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    assert fixed(redis_server, check)[0] == 0
    CASES[check](redis)
    before, file = contents(redis), tmp_path / "export.jsonl"

    status, plan = fixed(redis_server, check)
    assert (status, plan["applied"], plan["export"]) == (1, False, None)
    assert [one["state"] for one in plan["steps"]] == ["planned"]
    assert contents(redis) == before
    assert not redis.keys("kiq:fix:*")

    status, done = fixed(redis_server, check, "--apply", "--export", str(file))
    assert (status, [one["state"] for one in done["steps"]]) == (0, ["done"]), done
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert contents(redis) != before
    assert fixed(redis_server, check)[0] == 0

    status, undone = fixed(redis_server, "--undo", str(file))
    assert (status, [one["state"] for one in undone["steps"]]) == (0, ["done"]), undone
    assert {key: raw for key, raw in contents(redis).items() if key != b"queues"} == {
        key: raw for key, raw in before.items() if key != b"queues"
    }
    assert fixed(redis_server, "--undo", str(file))[1]["steps"][0]["state"] == "nothing-to-do"


def test_jobs_of_a_private_list_come_out_in_their_order(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    private(redis)

    assert fixed(redis_server, "PRO014", "--apply", "--export", str(tmp_path / "e"))[0] == 0
    assert [redis.rpop("queue:mail") for _ in JOBS] == JOBS[::-1]
    assert redis.sismember("queues", "mail")


def test_a_living_owner_keeps_its_jobs(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    private(redis)
    redis.hset(GHOST, mapping={"beat": time.time(), "busy": 1})
    assert fixed(redis_server, "PRO014")[1]["steps"] == []


def test_what_no_step_is_safe_for_is_named_and_still_stands(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    once = json.loads(JOBS[0]) | {"at_most_once": True}
    redis.sadd("processes", GHOST)
    work = {"queue": "mail", "payload": json.dumps(once), "run_at": int(time.time())}
    redis.hset(f"{GHOST}:work", "t1", json.dumps(work))
    before = contents(redis)

    status, plan = fixed(redis_server, "PRO008")
    assert (status, plan["steps"]) == (0, [])
    assert [note for note in plan["notes"] if "no step by machine is safe here" in note]

    status, done = fixed(redis_server, "PRO008", "--apply", "--export", str(tmp_path / "e"))
    assert (status, done["steps"], done["export"]) == (1, [], None)
    assert contents(redis) == before


def test_what_another_check_could_not_look_at_is_not_said_to_be_mended(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    ghost(redis)
    lock = f"uniquejobs:{'d' * 32}"
    redis.zadd("uniquejobs:digests", {lock: 1.0})
    redis.hset(f"{lock}:LOCKED", "b" * 24, str(time.time()))

    status, done = fixed(redis_server, "PRO002", "QUE014", "--apply", "--export", str(tmp_path / "e"))
    assert [(one["check"], one["state"]) for one in done["steps"]] == [("PRO002", "done")]
    assert (status, done["notes"][0][:7]) == (3, "QUE014:")

    ghost(redis)
    assert fixed(redis_server, "PRO002", "--apply", "--export", str(tmp_path / "f"))[0] == 0


def test_a_redis_that_went_away_is_asked_no_more() -> None:
    waits: list[float] = []
    applying = Applying(resolve_url("redis://127.0.0.1:1/0", {}), None, "t", replace(SYSTEM, sleep=waits.append))
    step = Step("A", "b", "c", "d", "e", (MOVE, MOVE))

    assert [one.state for one in carried_out((step, step), applying)] == ["stopped", "stopped"]
    assert len(waits) == TRIES - 1


def test_an_older_file_is_left_alone_and_nothing_changed(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    ghost(redis)
    (tmp_path / "e").write_text("mine", encoding="utf-8")

    assert kiqdoctor("fix", "--redis", redis_server.url, "--apply", "--export", str(tmp_path / "e")).status == 2
    assert (tmp_path / "e").read_text(encoding="utf-8") == "mine"
    assert redis.sismember("processes", GHOST)


def test_undo_of_another_redis_is_refused(redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path) -> None:
    ghost(redis)
    (tmp_path / "e").write_bytes(dump(Export("t", "redis://elsewhere:6379/0", None, ())))
    assert kiqdoctor("fix", "--redis", redis_server.url, "--undo", str(tmp_path / "e")).status == 2
    (tmp_path / "f").write_text("[1", encoding="utf-8")
    assert kiqdoctor("fix", "--redis", redis_server.url, "--undo", str(tmp_path / "f")).status == 2


def test_a_redis_that_is_not_there_could_not_be_looked_at() -> None:
    assert kiqdoctor("fix", "--redis", "redis://127.0.0.1:1/0").status == 3


MOVE: Final = Change(
    tuple(Edit(Entry("head", b"from", job), Entry("tail", b"to", job, b"once")) for job in (b"a", b"\xff", b"c")),
    (Guard("absent", b"sign"),),
)


@pytest.mark.parametrize("fault", ["refuse", "lose"])
def test_a_connection_that_breaks_neither_loses_nor_doubles(
    fault: str, redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    redis.rpush("from", "a", b"\xff", "c")
    with Proxy.start(redis_server.port) as proxy:
        applying = Applying(resolve_url(proxy.url, {}), None, "t")
        getattr(proxy, fault)(b"EVAL")
        assert applying.carry_out(MOVE, 1).changed == 3
        assert (redis.lrange("from", 0, -1), redis.lrange("to", 0, -1)) == ([], [b"a", b"\xff", b"c"])
        getattr(proxy, fault)(b"EVAL")
        applying.undo(MOVE, 1)
        applying.close()
    assert (redis.lrange("from", 0, -1), redis.lrange("to", 0, -1)) == ([b"a", b"\xff", b"c"], [])


def test_what_changed_meanwhile_stops_it(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.rpush("from", "a", b"\xff", "c")
    applying = Applying(resolve_url(redis_server.url, {}), None, "t")
    redis.set("sign", 1)
    assert "there again" in applying.carry_out(MOVE, 1).why
    redis.delete("sign")
    redis.lrem("from", 1, "a")
    assert applying.carry_out(MOVE, 1).changed == 2
    redis.lrem("to", 1, "c")
    found = applying.undo(MOVE, 1)
    assert (found.changed, found.left) == (1, 1)
    applying.close()
    assert redis.lrange("from", 0, -1) == [b"\xff"]


@pytest.mark.parametrize("denied", ["rpush", "lrem", "hset"])
def test_a_missing_permission_changes_nothing(denied: str, redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.rpush("from", "a", b"\xff", "c")
    redis.acl_setuser("half", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", f"-{denied}"])
    applying = Applying(resolve_url(f"redis://half:pw@127.0.0.1:{redis_server.port}/0", {}), None, "t")
    try:
        found = applying.carry_out(MOVE, 1)
    finally:
        applying.close()
        redis.acl_deluser("half")
    assert found.why.startswith("Redis refuses")
    assert (redis.llen("from"), redis.llen("to")) == (3, 0)


def test_an_export_is_read_back_byte_for_byte() -> None:
    export = Export("t", "redis://a:1/0", "ns", (Step("A", "b", "c", "d", "e", (MOVE,)),))
    assert load(dump(export)) == export
