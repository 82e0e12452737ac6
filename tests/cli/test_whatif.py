"""`kiqdoctor whatif` on a real Redis: what heartbeats and the real Sidekiq say of themselves, and recordings."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
import ruby
from doctoring import kiqdoctor
from servers import RedisServer, eventually
from states import beat, payload, push

from kiqdoctor.wire.keys import Keys

FIRST, SECOND = "web-1:71:0123456789ab", "web-2:72:0123456789cd"


def whatif(server: RedisServer, *words: str) -> tuple[int, dict[str, Any]]:
    ran = kiqdoctor("whatif", "--live", "--redis", server.url, *words, "--format", "json")
    found: dict[str, Any] = json.loads(ran.out)
    assert found["schema"] == "kiqdoctor.whatif/1"
    return ran.status, found


def shop(redis: "redis_py.Redis", waiting: int = 100) -> None:
    """Two processes of five threads; jobs of half a second, one each second for the last 48 minutes."""
    for identity in (FIRST, SECOND):
        beat(redis, identity)
    if waiting:
        push(redis, count=waiting)
    now = time.time()
    for back in range(2, 50):
        redis.hset([*Keys().metrics(now - 60 * back)][-1], mapping={"SendMail|p": 60, "SendMail|ms": 30_000})


def drain(found: dict[str, Any]) -> float | None:
    [one] = found["queues"]
    assert one["queue"] == "default"
    seconds: float | None = one["drain_s"]
    return seconds


def pool(found: dict[str, Any]) -> tuple[int, int]:
    [one] = found["pools"]
    assert one["pool"] == "redis"
    return one["peak"], one["limit"]


def test_what_it_says_of_another_fleet(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    shop(redis)
    come = 48 * 60 / 3600

    for words, threads in (([], 10), (["--concurrency", "20", "--processes", "6"], 120), (["--kill", "web-2"], 5)):
        status, found = whatif(redis_server, *words)

        assert (status, found["basis"], found["backtest"]) == (0, "simulated", None)
        assert drain(found) == pytest.approx(max(0.5, 100 / (threads * 2 - come)))  # one takes half a second
        assert threads <= pool(found)[0] < pool(found)[1]


def test_what_does_not_fit(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    shop(redis)
    limit = redis.config_get("maxclients")["maxclients"] or "10000"
    redis.config_set("maxclients", 60)
    try:
        fits, found = whatif(redis_server)
        crowded, more = whatif(redis_server, "--concurrency", "50")
    finally:
        redis.config_set("maxclients", limit)

    assert (fits, crowded) == (0, 1)
    assert pool(found)[0] <= 60 < pool(more)[0]
    assert pool(found)[1] == pool(more)[1] == 60
    gone, left = whatif(redis_server, "--kill", "web-1", "--kill", "web-2")
    assert (gone, drain(left)) == (1, None)
    assert "no process" in left["queues"][0]["reason"]


def test_what_cannot_be_told(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    nobody, _ = whatif(redis_server)
    beat(redis, FIRST)
    idle, _ = whatif(redis_server)
    push(redis)
    status, found = whatif(redis_server)

    assert (nobody, idle, status, drain(found)) == (3, 0, 3, None)
    assert "was not recorded" in found["queues"][0]["reason"]
    strange, told = whatif(redis_server, "--kill", "web-7")
    assert (strange, told["unknown"]) == (3, ["no live process is on host web-7"])


def test_a_paused_queue_has_no_time(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    shop(redis)
    redis.sadd("paused", "default")

    status, found = whatif(redis_server)

    assert (status, drain(found)) == (3, None)
    assert "paused" in found["queues"][0]["reason"]


def test_all_that_is_to_be_tried_again(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    shop(redis)
    redis.zadd("retry", {payload(jid=f"{number:024x}", error_class="X"): time.time() + 900 for number in range(300)})

    seconds = [drain(whatif(redis_server, *words)[1]) for words in ([], ["--retry-all"])]

    assert seconds[0] is not None
    assert seconds[1] == pytest.approx(4 * seconds[0])


def test_a_recording_says_the_same(redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path) -> None:
    shop(redis)
    file = str(tmp_path / "recording")
    assert kiqdoctor("record", file, "--live", "--redis", redis_server.url).status == 0
    live = whatif(redis_server, "--concurrency", "9")[1]
    redis.flushall()

    ran = kiqdoctor("whatif", "--replay", file, "--concurrency", "9", "--format", "json")

    assert ran.status == 0
    assert drain(ran.report) == pytest.approx(drain(live))
    assert pool(ran.report) == pool(live)


@pytest.mark.parametrize(
    "words",
    [
        ("--concurrency", "0"),
        ("--concurrency", "many"),
        ("--concurrency", "1000000000000"),
        ("--processes", "-1"),
        ("--processes", "1.5"),
        ("--processes", "1000000000000"),
        ("--replay", "nowhere"),
        ("--replay", __file__),
        ("--replay", __file__, "--redis", "redis://localhost:1/0"),
        ("--redis", "redis://localhost:1/0", "--redis", "redis://localhost:1/1"),
    ],
    ids=" ".join,
)
def test_bad_words_are_one_line(words: tuple[str, ...]) -> None:
    ran = kiqdoctor("whatif", *words)

    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)


def test_a_redis_that_is_not_there_tells_nothing() -> None:
    ran = kiqdoctor("whatif", "--redis", "redis://127.0.0.1:1/0")

    assert ran.status == 3
    assert "could not be reached" in ran.out


APP = """\
require "sidekiq/launcher"
Sidekiq::Launcher.send(:remove_const, :BEAT_PAUSE)
Sidekiq::Launcher::BEAT_PAUSE = 1  # counters move with the beat: a window need not be long

class Slow
  include Sidekiq::Worker
  def perform
    sleep 0.05
  end
end
"""


@pytest.mark.ruby
def test_beside_the_real_sidekiq(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    """6.4.1 records no durations: only a window in which its threads have work tells its rate."""
    sidekiq, url = ruby.require(6), redis_server.url
    with sidekiq.start(APP, url, concurrency=2):
        idle, found = whatif(redis_server, "--concurrency", "20", "--processes", "6")
        crowded, _ = whatif(redis_server, "--concurrency", "20", "--processes", "6", "--redis-limit", "50")
        sidekiq.run("2000.times { Sidekiq::Client.push('class' => 'Slow', 'args' => []) }", url)
        eventually(lambda: int(redis.get("stat:processed") or 0) > 0, "its count")
        at_once, blind = whatif(redis_server)
        status, seen = whatif(redis_server, "--for", "6", "--concurrency", "20")

    assert (idle, crowded) == (0, 1)
    assert pool(found)[0] >= 120
    assert (at_once, status) == (3, 0)
    assert drain(blind) is None
    seconds = drain(seen)
    assert seconds is not None
    assert 0 < seconds < 100  # 100 s, were each job to take twenty times its time
    assert seen["backtest"]["measured"] > 0
