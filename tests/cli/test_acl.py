"""`kiqdoctor acl`: one line, that is enough for the selected checks and has nothing that they do not need."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import pytest
import redis as redis_py
from doctoring import check, kiqdoctor
from servers import RedisServer
from states import JID, beat, payload, push

from kiqdoctor.doctor.acl import rule
from kiqdoctor.doctor.probe import Lane, Probe, Read
from kiqdoctor.wire.heartbeat import RUNTIME, THREADS
from kiqdoctor.wire.keys import Keys

IDENTITY: Final = "other-host:71:0123456789ab"
FREE: Final = {"client|id", "client|setname"}  # tried when connecting; what is read does not depend on them


def probe(*reads: Read) -> Probe:
    return Probe("one", object, lambda: None, (), reads, Lane.REDIS, 1.0)


def test_each_command_stands_there_once_and_keys_only_where_one_is_read() -> None:
    some = probe(Read("INFO", "+info"), Read("TYPE, GET", "+type +get"), Read("/proc", "root"))
    keyless = probe(Read("INFO", "+info"), Read("CONFIG GET", "+config|get", fallback=True))

    assert rule([some, some], reads_redis=True) == "on ~* +get +info +ping +type"
    assert rule([keyless], reads_redis=True) == "on +info +ping"
    assert rule([keyless], reads_redis=True, database=3) == "on +info +ping +select"
    assert rule([], reads_redis=False) == "off"


def test_keys_are_named_where_every_read_can_name_them() -> None:
    sets, counted = Read("ZCARD", "+zcard", keys=("retry", "j|*")), Read("GET", "+get", keys=("j|1", "stat:failed"))
    wide = Read("SCAN, GET", "+scan +get")

    assert rule([probe(sets, counted)], reads_redis=True) == "on ~j|* ~retry ~stat:failed +get +ping +zcard"
    assert rule([probe(sets)], reads_redis=True, namespace="a*") == r"on ~a\*:j|* ~a\*:retry +ping +zcard"
    assert rule([probe(sets)], reads_redis=True, namespace="a b") == "on ~* +ping +zcard"
    assert rule([probe(sets), probe(wide)], reads_redis=True) == "on ~* +get +ping +scan +zcard"


def test_it_says_where_every_key_is_needed() -> None:
    assert "%R~*" in kiqdoctor("acl", "--live").err
    assert kiqdoctor("acl", "--live", *NARROW).err == ""


def test_it_is_one_line_and_the_plan_s() -> None:
    line = kiqdoctor("acl", "--select", "RED002").out
    plan = kiqdoctor("check", "--select", "RED002", "--plan").out

    assert line == "on +client|list +info +ping\n"
    assert f"smallest ACL: {line}" in plan
    assert json.loads(kiqdoctor("acl", "--select", "RED002", "--format", "json").out) == {
        "schema": "kiqdoctor.acl/1",
        "rule": line.strip(),
        "checks": ["RED002"],
    }
    assert kiqdoctor("acl", "--static").out == "off\n"
    assert kiqdoctor("acl", "--select", "NONE").status == 2


def test_what_is_not_asked_for_is_in_no_plan() -> None:
    without = kiqdoctor("check", "--live", "--select", "WEB", "--plan").out
    visited = kiqdoctor("check", "--live", "--select", "WEB", "--web", "http://127.0.0.1:1/", "--plan").out

    assert "/stats" not in without
    assert "/stats" in visited
    assert "+get" in kiqdoctor("acl", "--select", "WEB004", "--web", "http://127.0.0.1:1/").out
    assert "*.rb" not in kiqdoctor("check", "--live", "--plan").out


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """With something of each kind, so that whatever may be read is there."""
    with RedisServer.start({"save": "3600 1"}) as server, server.client() as client:
        filled(client)
        push(client, count=3, prefix="sh*p[1]:")
        client.zadd("sh*p[1]:retry", {payload(): time.time() + 900})
        with server.client(db=2) as other:
            push(other)
        yield server


def filled(client: redis_py.Redis) -> None:
    now = time.time()
    before = datetime.fromtimestamp(now - 120, UTC)
    beat(client, IDENTITY, ttl=3600)
    info = json.loads(client.hget(IDENTITY, "info") or b"{}")
    client.hset(IDENTITY, "info", json.dumps({**info, "runtime": RUNTIME}))
    push(client, count=3)
    long = json.dumps({"queue": "default", "payload": payload(), "run_at": int(now - 3600)})
    client.hset(f"{IDENTITY}:work", "t", long)
    for name in ("schedule", "dead"):
        client.zadd(name, {payload(): now + 60})
    client.zadd("retry", {payload(jid=f"{number:024x}", error_class="X"): now + 900 for number in range(1500)})
    client.sadd("paused", "low")
    client.sadd("super_processes", IDENTITY)
    client.hset(f"kiq:about:{IDENTITY}", THREADS, "[]")
    client.hset(f"it-{JID}", "c", "1")
    client.hset(Keys().metrics(now - 120)[1], "SendMail|p", 1)
    client.set(f"h|SendMail-{before.day}-{before.hour}:{before.minute}", bytes(52))
    client.hset(f"b-{'a' * 14}", mapping={"pending": 1, "total": 1, "created_at": now - 9000})
    client.sadd(f"b-{'a' * 14}-jids", JID)
    client.zadd("uniquejobs:digests", {"uniquejobs:aa": now})
    client.hset("uniquejobs:aa:LOCKED", JID, now)
    client.xadd("events", {"a": 1})
    client.xgroup_create("events", "group", "0")


def judged(url: str, *words: str) -> dict[str, Any]:
    """What each check says, but for the seconds in it."""
    return {
        one["check"]: (
            one["outcome"],
            re.sub(r"\d+", "N", one["reason"] or ""),
            sorted(found["fingerprint"] for found in one["findings"]),
        )
        for one in check(url, *words).report["results"]
    }


def allowed(server: RedisServer, *rules: str) -> str:
    """The address of a user who may do this and nothing else."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "doctor", "reset", ">pw", *rules)
        client.execute_command("ACL", "LOG", "RESET")
    return server.url.replace("redis://", "redis://doctor:pw@")


def refused(server: RedisServer) -> set[str]:
    """What the server refused that user since."""
    with server.client() as client:
        return {entry[b"object"].decode() for entry in client.execute_command("ACL", "LOG", 128)} - FREE


NARROW: Final = ("--select", "QUE011,QUE020,SEC002,SEC003,RED005")


@pytest.mark.parametrize(
    "words",
    [("--select", "RED,QUE001,NSP005"), (), NARROW, (*NARROW, "--namespace", "sh*p[1]")],
    ids=["some", "all", "narrow", "namespace"],
)
def test_it_is_enough(server: RedisServer, words: tuple[str, ...]) -> None:
    line = kiqdoctor("acl", "--live", *words).out.split()

    for _ in range(3):  # what was told just now gets older from one to the other
        without = judged(server.url, *words)
        within = judged(allowed(server, *line), *words)
        assert refused(server) == set()
        if within == without:
            break

    assert within == without


def needless(server: RedisServer, *words: str) -> list[str]:
    """Rules that can be taken away, and nothing is refused."""
    line = kiqdoctor("acl", "--live", *words).out.split()
    left = []
    for gone in line[1:]:
        check(allowed(server, *[one for one in line if one != gone]), *words)
        if not refused(server):
            left.append(gone)
    return left


@pytest.mark.long
def test_it_has_nothing_that_a_few_checks_do_not_need(server: RedisServer) -> None:
    assert needless(server, "--select", "RED002,RED011,SEC001,NSP006") == []


@pytest.mark.long
def test_it_has_no_key_and_no_command_that_checks_of_queues_do_not_need(server: RedisServer) -> None:
    assert needless(server, "--select", "NSP006,QUE020,SEC002") == []


def test_keys_that_may_only_be_read_are_enough_from_redis_7_on(server: RedisServer) -> None:
    with server.client() as client:
        if int(client.info("server")["redis_version"].split(".")[0]) < 7:
            pytest.skip("Redis before 7 knows no %R~")
    line = kiqdoctor("acl", "--live").out.split()

    check(allowed(server, *["%R~*" if one == "~*" else one for one in line]))

    assert refused(server) == set()


@pytest.mark.long
def test_it_has_nothing_that_all_checks_do_not_need(server: RedisServer) -> None:
    assert needless(server) == []
