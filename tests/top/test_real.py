"""The live view on a real Redis: a million jobs, a user who may not write, what is saved and judged again."""

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from doctoring import kiqdoctor
from screens import perform, screen, until
from servers import RedisServer, eventually
from textual.pilot import Pilot
from workers import Worker

from kiqdoctor.clock import SYSTEM
from kiqdoctor.connection import resolve_url
from kiqdoctor.doctor.facts.live import Errors, Failure, Search, Sought
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.living import Live, recorded
from kiqdoctor.text import clean
from kiqdoctor.top.app import Top
from kiqdoctor.top.panes.jobs import Jobs
from kiqdoctor.top.panes.queues import QueuesPane

MANY = 1_000_000
FILL = """
for i = tonumber(ARGV[1]), tonumber(ARGV[2]) do
  local job = '{"class":"Job' .. (i % 7) .. '","args":[' .. i .. '],"jid":"' .. i .. '","queue":"q","retry_count":1}'
  redis.call('ZADD', KEYS[1], i, job)
  redis.call('LPUSH', KEYS[2], job)
end
"""


@contextmanager
def live(url: str, **options: Any) -> Iterator[Live]:
    source = Live(Asked(live=True, redis=url, select=("RED",), **options), resolve_url(url, {}))
    try:
        yield source
    finally:
        source.close()


def watch(source: Live, steps: Any, **options: Any) -> Top:
    return perform(steps, source, clock=SYSTEM, interval=0.2, **options)


def push(redis: "redis_py.Redis", place: str, number: int, **fields: Any) -> bytes:
    job = {
        "class": "Pay",
        "args": [number, "s3cret"],
        "jid": f"{number:024x}",
        "queue": "mail",
        "created_at": time.time(),
    }
    raw = json.dumps(job | {"retry": True, "error_class": "Boom", "error_message": f"no {number}"} | fields).encode()
    redis.zadd(place, {raw: time.time() + number})
    return raw


def _ended(pane: Jobs, before: object) -> bool:
    """Whether a search that began after that one is through."""
    return pane.found is not None and pane.found is not before and pane.found.done


@pytest.mark.long
def test_a_million_jobs_are_paged_and_searched(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    for start in range(1, MANY, 20_000):
        redis.eval(FILL, 2, "retry", "queue:q", start, start + 19_999)
    redis.sadd("queues", "q")
    commands: Any = redis.info("commandstats")

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: "1,000,000" in screen(app))
        await pilot.press("5", "G")
        pane = app.pane
        assert isinstance(pane, Jobs)
        await until(pilot, lambda: pane.here is not None and pane.here.jid == str(MANY))
        await pilot.press("O")
        await until(pilot, lambda: pane.here is not None and pane.here.jid == str(MANY))
        await pilot.press("slash", *'"999999"', "enter")
        await until(pilot, lambda: pane.found is not None and pane.found.done)
        assert [row.jid for row in pane.held] == ["999999"]
        await pilot.press("f")
        await until(pilot, lambda: "1,000,000 failed jobs in 7 groups; 4,000 looked at (0.4%)" in app.pane.head.text)
        before = pane.found
        await pilot.press("enter")
        await until(pilot, lambda: _ended(pane, before))
        assert len(pane.held) == 10_000
        assert len({row.job_class for row in pane.held}) == 1
        await pilot.press("3", "enter", "G")
        queues = app.pane
        assert isinstance(queues, QueuesPane)
        await until(pilot, lambda: queues.jobs.here is not None and queues.jobs.here.jid == str(MANY))
        await pilot.press("g")
        await until(pilot, lambda: queues.jobs.here is not None and queues.jobs.here.jid == "1")

    with live(redis_server.url) as source:
        app = watch(source, steps)
    after: Any = redis.info("commandstats")

    assert max(look.round_trips for look in app.state.history.looks) <= 30
    assert len(app.panes["Retries"].known) < 20_000  # type: ignore[attr-defined]
    assert not set(after) - set(commands) & {"cmdstat_keys", "cmdstat_smembers", "cmdstat_lrem"}


def test_a_search_ends_at_its_limit(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.eval(FILL, 2, "dead", "queue:q", 1, 12_000)

    for place in ("dead", "queue:q"):
        with live(redis_server.url) as source:
            *_, last = source.search(place, Sought("Job"))
        assert isinstance(last, Search)
        assert (len(last.rows), last.done) == (10_000, True)


def test_a_search_ends_at_its_limit_of_bytes(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    for number in range(1_300):
        push(redis, "retry", number, args=["x" * 60_000])

    with live(redis_server.url) as source:
        *_, last = source.search("retry", Sought(failure=Failure("Pay", "Boom", "low")))

    assert isinstance(last, Search)
    assert (last.rows, last.done) == ((), True)
    assert re.fullmatch(r"ended after (6[4-9]|7\d) MiB that hold 'Boom'", last.note)
    assert last.looked_at < last.total


def test_text_with_the_signs_of_patterns_is_found_as_it_is(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    push(redis, "retry", 1, error_message="a[b]*c?")
    push(redis, "retry", 2, error_message="abc")

    with live(redis_server.url) as source:
        *_, last = source.search("retry", Sought("a[b]*c?"))

    assert isinstance(last, Search)
    assert [row.jid for row in last.rows] == [f"{1:024x}"]


@pytest.mark.parametrize(
    ("failure", "found"),
    [
        (Failure("Pay", "Net::ReadTimeout", "mail"), [1, 2]),
        (Failure("Pay", "Net::ReadTimeout", "low"), [3]),
        (Failure("Pay", "", "mail"), [4]),
        (Failure("Report", "Boom", "mail"), [5]),
        (Failure(clean("J\u202e[/x]"), clean("E\x1b"), clean("q\u2066")), [6]),
        (Failure("Pay", "Timeout", "mail"), []),
    ],
)
def test_jobs_that_failed_alike_are_found_and_no_others(
    redis: "redis_py.Redis", redis_server: RedisServer, failure: Failure, found: list[int]
) -> None:
    timeout = {"error_class": "Net::ReadTimeout"}
    push(redis, "retry", 1, **timeout)
    push(redis, "retry", 2, **timeout, error_message="Pay Boom Report")
    push(redis, "retry", 3, **timeout, queue="low")
    push(redis, "retry", 4, error_class=None, error_message=None)
    push(redis, "retry", 5, **{"class": "Sidekiq::ActiveJob::Wrapper"}, wrapped="Report")
    push(redis, "retry", 6, **{"class": "J\u202e[/x]"}, error_class="E\x1b", queue="q\u2066")
    redis.zadd("retry", {b"Net::ReadTimeout Pay mail": 0})

    with live(redis_server.url) as source:
        *_, last = source.search("retry", Sought(failure=failure))

    assert isinstance(last, Search)
    assert sorted(int(row.jid, 16) for row in last.rows) == found
    assert (last.looked_at, last.done) == (7, True)


def test_a_user_who_may_not_write_gets_no_keys_that_change_anything(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    raw = push(redis, "retry", 1)
    redis.acl_setuser(
        "watcher", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@read", "+ping", "+info", "+client"]
    )
    url = redis_server.url.replace("redis://", "redis://watcher:pw@")

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: "read-only: the Redis user watcher may not write" in app.where.text)
        await pilot.press("5")
        await until(pilot, lambda: "Pay" in screen(app))
        await pilot.press("D", "y")
        assert "pw" not in screen(app)
        await pilot.press("0")
        await until(pilot, lambda: "slow log" in screen(app) or "SlowLog cannot be shown" in screen(app))

    with live(url) as source:
        perform(steps, source, clock=SYSTEM, interval=0.2, asked=source.writing)
    redis.acl_deluser("watcher")

    assert redis.zrange("retry", 0, -1) == [raw]


def test_jobs_are_deleted_killed_and_brought_back(
    redis: "redis_py.Redis", redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = push(redis, "retry", 1), push(redis, "retry", 2)
    told: list[str] = []
    monkeypatch.setattr(Top, "tell", lambda _, text, severity: told.append(f"{severity}: {text}"))

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("5")
        await until(pilot, lambda: app.pane.id_here and app.changing.writing.actions is not None)
        await pilot.press("D", "y")
        await until(pilot, lambda: any(line.endswith("1 done; u undoes it") for line in told))
        assert redis.zcard("retry") == 1
        await pilot.press("u")
        await until(pilot, lambda: "information: undone: 1" in told)  # which takes marks away
        assert redis.zcard("retry") == 2
        await until(pilot, lambda: screen(app).count("Boom: no ***") == 2)  # an error repeats no argument
        await pilot.press("g", "x", "x", "K")
        await until(pilot, lambda: "Kill 2 jobs" in screen(app))
        await pilot.press("y")
        await until(pilot, lambda: redis.zcard("dead") == 2)
        await pilot.press("7")
        await until(pilot, lambda: "2 jobs" in app.pane.head.text)

    with live(redis_server.url) as source:
        perform(steps, source, clock=SYSTEM, interval=0.2, asked=source.writing)

    assert set(redis.zrange("dead", 0, -1)) == {first, second}


def test_arguments_are_shown_only_where_they_are_asked_for(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    push(redis, "schedule", 1)

    async def masked(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "masked: --show-args" in screen(app))
        await pilot.press("enter")
        await until(pilot, lambda: "2 arguments, masked" in screen(app))
        assert "s3cret" not in screen(app)

    async def shown(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "s3cret" in screen(app))

    with live(redis_server.url) as source:
        watch(source, masked)
    with live(redis_server.url, show_args=True) as source:
        watch(source, shown)


def test_a_snapshot_is_saved_and_judged_and_played_again(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    push(redis, "retry", 1)
    redis.set("stat:processed", 4_321)

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: app.state.diagnosis is not None and "4,321" in screen(app))
        await pilot.press("s")
        await until(pilot, lambda: bool(list(tmp_path.glob("kiqdoctor-*.json"))))

    with live(redis_server.url) as source:
        watch(source, steps, folder=tmp_path)
    [file] = tmp_path.glob("kiqdoctor-*.json")
    judged = kiqdoctor("check", "--replay", str(file), "--select", "RED", "--format", "json")
    (tmp_path / "broken.json").write_text("{")

    async def again(pilot: Pilot[int], app: Top) -> None:
        assert "4,321" in screen(app)
        assert "REPLAY 1/1" in screen(app)
        await pilot.press("8")
        assert "judged" in screen(app)

    assert file.stat().st_mode & 0o077 == 0
    assert "s3cret" not in file.read_text()
    assert judged.outcome("RED001") == "pass"
    played = recorded(tmp_path, Asked(select=("RED",)))
    assert [text.partition(" is")[0] for text in played.left_out] == ["broken.json"]
    perform(again, played)


def test_what_record_writes_is_played_too(redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path) -> None:
    redis.sadd("queues", "mail")
    redis.lpush("queue:mail", "{}")
    for number in range(2):
        kiqdoctor("record", str(tmp_path / f"{number}.json"), "--live", "--redis", redis_server.url)

    async def steps(pilot: Pilot[int], app: Top) -> None:
        assert "REPLAY 1/2" in screen(app)
        await pilot.press("3")
        assert "mail" in screen(app)
        await pilot.press("2")
        assert "0 processes" in screen(app)

    perform(steps, recorded(tmp_path, Asked(live=True)))


def test_redis_is_stopped_and_started_under_it() -> None:
    with RedisServer.start() as server, live(server.url) as source:

        async def steps(pilot: Pilot[int], app: Top) -> None:
            await until(pilot, lambda: "LIVE" in app.where.text and app.state.history.looks)
            server.down()
            await until(pilot, lambda: "REDIS AWAY" in app.where.text)
            await pilot.press("5")
            server.up()
            await until(pilot, lambda: "LIVE" in app.where.text)
            await until(pilot, lambda: "0 jobs" in app.pane.head.text)

        watch(source, steps)


FAILING = """
from kiqdoctor import job

@job
def fail():
    raise LookupError("no such order")
"""


def test_failures_of_our_own_runtime_are_grouped_too(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    with Worker.start(FAILING, redis_server.url, "-c", "1"), live(redis_server.url) as source:
        for number in range(3):
            redis.lpush("queue:default", json.dumps({"class": "app.fail", "args": [], "jid": f"{number:024x}"}))
        eventually(lambda: redis.zcard("retry") == 3, "the failures")
        errors = source.look(frozenset({Errors})).snapshot.get(Errors)

    assert isinstance(errors, Errors)
    [group] = errors.groups
    assert (group.failure, group.retrying, errors.whole) == (Failure("app.fail", "LookupError", "default"), 3, True)
    assert group.next_try is not None
    assert group.newest is not None
    assert group.next_try > group.newest
