"""Servers and data that nobody meant: one clear line, the contract's exit status, no pass without proof."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis as redis_py
from doctoring import Examination, check, kiqdoctor
from servers import RedisServer, free_port
from states import beat, push


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that somebody else starts on this host is no reason to wait for its first beat."""
    file = tmp_path_factory.mktemp("alone") / "kiqdoctor.toml"
    file.write_text("[checks.PRO001]\nbooting-s = 0\n")
    monkeypatch.setenv("KIQDOCTOR_CONFIG", str(file))


@contextmanager
def talking(answer: bytes | None) -> Iterator[str]:
    """A server that answers everything with these bytes; None: it accepts and says nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            held.append(connection)
            if answer is not None:
                connection.recv(1000)
                connection.sendall(answer)

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        listener.close()
        for connection in held:
            connection.close()


def failed_at(found: Examination) -> str:
    [finding] = found.result("RED001")["findings"]
    return str(finding["fingerprint"])


@pytest.mark.parametrize("url", ["nonsense", "http://localhost", "redis://h:port/0", "redis://h/zero", "unix://"])
def test_a_wrong_url_is_wrong_usage(url: str) -> None:
    found = check(url)

    assert found.status == 2
    assert len(found.err.strip().splitlines()) == 1


def test_refused() -> None:
    found = check(f"redis://127.0.0.1:{free_port()}/0")

    assert found.status == 3
    assert failed_at(found) == "RED001:redis:tcp"
    assert not [one for one in found.report["results"] if one["outcome"] == "pass"]


def test_no_such_host() -> None:
    found = check("redis://no-such-host.invalid:6379/0")

    assert (found.status, failed_at(found)) == (3, "RED001:redis:dns")


def test_a_wrong_password_is_named_and_not_shown() -> None:
    with RedisServer.start(password="right") as server:
        found = check(server.url.replace("right", "wrong-secret"))

    assert (found.status, failed_at(found)) == (3, "RED001:redis:auth")
    assert "wrong-secret" not in found.out + found.err


def test_a_server_that_never_answers() -> None:
    with talking(None) as url:
        found = check(url)

    assert (found.status, failed_at(found)) == (3, "RED001:redis:ping")


def test_a_server_that_speaks_something_else() -> None:
    with talking(b"HTTP/1.1 400 Bad Request\r\n\r\n") as url:
        found = check(url)

    assert (found.status, failed_at(found)) == (3, "RED001:redis:ping")


@pytest.mark.parametrize("key", ["queues", "processes", "schedule", "retry", "dead", "queue:default"])
@pytest.mark.parametrize("kind", ["string", "list", "hash", "zset"])
def test_a_wrong_type_on_a_reserved_key(
    redis: "redis_py.Redis", redis_server: RedisServer, key: str, kind: str
) -> None:
    beat(redis)
    push(redis)
    redis.delete(key)
    writers: dict[str, tuple[object, ...]] = {
        "string": ("SET", key, "x"),
        "list": ("RPUSH", key, "x"),
        "hash": ("HSET", key, "x", "y"),
        "zset": ("ZADD", key, 1, "x"),
    }
    redis.execute_command(*writers[kind])  # type: ignore[no-untyped-call]

    found = check(redis_server.url)

    assert found.status in {0, 1}
    if key == "processes":
        assert found.outcome("PRO001") == "unknown"


def test_bytes_that_are_no_text(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.sadd("queues", b"\xff\xfe")
    redis.lpush(b"queue:\xff\xfe", b"\xff{", b'{"class":"\xff","jid":1}', b"[1]", b"null")
    redis.sadd("processes", b"\xff:1:aa")
    redis.hset(b"\xff:1:aa", mapping={"info": b"\xff", "beat": b"\xff", "busy": b"\xff"})
    redis.hset(b"\xff:1:aa:work", b"\xff", b"\xff")
    redis.zadd("retry", {b"\xff": 1})

    assert check(redis_server.url).status in {0, 1}


def test_members_of_five_megabytes_are_not_read(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    big = b"x" * 5_000_000
    beat(redis)
    push(redis)
    redis.lpush("queue:big", big, big)
    redis.sadd("queues", "big")
    redis.sadd("processes", "huge:1:aa")
    redis.hset("huge:1:aa", "info", big)
    redis.hset("huge:1:aa:work", "t", big)
    redis.zadd("retry", {big: 1})
    before = redis.info("stats")["total_net_output_bytes"]

    found = check(redis_server.url)

    assert found.status in {0, 1}
    assert redis.info("stats")["total_net_output_bytes"] - before < 1_000_000


def test_escapes_in_names_do_nothing(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    evil = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\u202ered"
    push(redis, queue=evil)
    redis.lpush(f"queue:{evil}", json.dumps({"class": evil, "args": [], "jid": evil}))
    beat(redis, f"{evil}:1:aa", age=90, tag=evil)

    text = kiqdoctor("check", "--live", "--redis", redis_server.url)
    found = check(redis_server.url)

    for out in (text.out, text.err, json.dumps(found.report, ensure_ascii=False)):
        assert not {"\x1b", "\x07", "\u202e"} & set(out)


def test_two_hundred_thousand_ghosts(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    pipe = redis.pipeline(transaction=False)
    for start in range(0, 200_000, 10_000):
        pipe.sadd("processes", *[f"gone:{number}:aaaaaaaaaaaa" for number in range(start, start + 10_000)])
    pipe.execute()

    found = check(redis_server.url)

    assert "of 50000 registered processes that were read do not exist" in found.result("PRO002")["findings"][0]["title"]
    assert found.outcome("PRO001") != "fail"


def test_a_user_that_may_only_read_and_ping(redis_server: RedisServer) -> None:
    with RedisServer.start() as server, server.client() as client:
        beat(client)
        push(client)
        client.execute_command("ACL", "SETUSER", "looker", "on", ">pw", "~*", "+@read", "+ping")
        found = check(server.url.replace("redis://", "redis://looker:pw@"))

        assert found.outcome("RED001") == "pass"
        for needs_more in ("RED002", "RED004", "RED005", "RED006", "RED007", "RED008", "NSP006", "RED011", "RED010"):
            assert found.outcome(needs_more) == "unknown"
        assert found.outcome("RED002") == "unknown"
        assert "+info" in found.result("RED002")["reason"]
        assert found.outcome("OBS002") == "fail"


def test_a_user_that_may_nothing(redis_server: RedisServer) -> None:
    with RedisServer.start() as server, server.client() as client:
        client.execute_command("ACL", "SETUSER", "nobody", "on", ">pw", "~*", "+ping")
        found = check(server.url.replace("redis://", "redis://nobody:pw@"))

    outcomes = {one["check"]: one["outcome"] for one in found.report["results"]}
    assert {check for check, outcome in outcomes.items() if outcome == "pass"} <= {"RED001", "RED009", "PRO003"}


def test_check_writes_nothing_and_sends_only_what_it_planned(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    beat(redis)
    push(redis)
    with redis_server.client(db=2) as other:
        push(other)
    redis.config_resetstat()
    keys = sorted(redis.scan_iter())

    check(redis_server.url)

    sent = {name.removeprefix("cmdstat_") for name in redis.info("commandstats")}
    plan = kiqdoctor("check", "--live", "--plan").out.lower()
    allowed = {word.removeprefix("+") for word in plan.rsplit("smallest acl:", 1)[1].split() if word.startswith("+")}
    free = {"hello"}  # no rule can forbid it
    assert sent - {"config|resetstat", "client|setname", "client|id", "scan", "info"} - free <= allowed
    assert sorted(redis.scan_iter()) == keys


def test_a_recording_replays_to_the_same_report(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    push(redis)
    file = tmp_path / "state.json"

    found = check(redis_server.url, "--record", str(file))
    again = kiqdoctor("check", "--live", "--replay", str(file), "--format", "json")

    assert found.status == again.status == 1
    for one in (*found.report["results"], *again.report["results"]):
        one.pop("duration_ms")
    assert again.report["results"] == found.report["results"]
    assert again.report["target"]["replayed_from"] == str(file)
    assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("words", [["check", "/no/such/dir"], ["check", "--replay", "/no/such"], ["check", "--nope"],
                                   ["check", "--select", "XYZ999"], ["nonsense"], ["check", "--redis-limit", "0"],
                                   ["check", "--static", "--live"], ["explain", "XYZ999"]])  # fmt: skip
def test_wrong_usage_is_one_line(words: list[str]) -> None:
    found = kiqdoctor(*words)

    assert found.status == 2
    assert len(found.err.strip().splitlines()) == 1
