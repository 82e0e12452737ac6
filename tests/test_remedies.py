"""What `fix` does about each finding, on a real Redis: planned, exported, done, agreed to, taken back byte for byte."""

import itertools
import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from faults import Proxy
from servers import OTHERS, RedisServer

from kiqdoctor.actions.exact import Export
from kiqdoctor.clock import Clock
from kiqdoctor.examining import fixing
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.fixing import Fixed, fix, undo

WINDOW: Final = 25.0  # seconds, of a clock that does not wait
DEAD: Final = "gone-1:77:abcdefabcdef"
BID: Final = "0123456789abcdef"
Redis = Any  # what a client answers depends on how it was asked


def jid(number: int) -> str:
    return f"{number:024x}"


def job(number: int, **more: Any) -> str:
    fields = {"class": "Mail", "args": [number], "queue": "mail", "jid": jid(number), "retry": True}
    return json.dumps({**fields, "created_at": time.time() - 60.5, **more})


def quick() -> Clock:
    """Time goes on where somebody sleeps, at once."""
    ahead = [0.0]  # of the machine's clock; who sleeps beside another sleeps at the same time

    def now() -> float:
        return time.monotonic() + ahead[0]

    def sleep(seconds: float) -> None:
        until = now() + seconds
        time.sleep(0.01)
        ahead[0] = max(ahead[0], until - time.monotonic())

    return Clock(lambda: time.time() + ahead[0], now, sleep, now)


def run(server: RedisServer, check: str, file: Path | None = None, **words: Any) -> Fixed:
    asked = Asked(redis=server.url, live=True, select=(check,), window_s=WINDOW)
    return fix(asked, apply=file is not None, export=file or Path(), clock=quick(), **words)


def value(redis: Redis, key: bytes) -> object:
    """All of it: a hash that is growing is dumped in another order each time."""
    match redis.type(key):
        case b"hash":
            return redis.hgetall(key)
        case b"set":
            return redis.smembers(key)
        case b"zset":
            return redis.zrange(key, 0, -1, withscores=True)
        case b"list":
            return redis.lrange(key, 0, -1)
        case _:
            return redis.get(key)


def contents(redis: Redis) -> dict[bytes, tuple[object, int]]:
    """Every key but our own, and when it ends (in milliseconds)."""
    names = [one for one in sorted(redis.keys("*")) if not one.startswith(b"kiq:fix:")]
    lives = {name: redis.pttl(name) for name in names}
    at = time.time() * 1000
    return {name: (value(redis, name), round(at + lives[name]) if lives[name] >= 0 else -1) for name in names}


def same(one: dict[bytes, tuple[object, int]], other: dict[bytes, tuple[object, int]]) -> None:
    """A queue's registered name may stay."""
    one, other = ({key: found for key, found in which.items() if key != b"queues"} for which in (one, other))
    assert {key: found[0] for key, found in one.items()} == {key: found[0] for key, found in other.items()}
    for key, (_, ends) in one.items():
        assert abs(ends - other[key][1]) < 100, key


# -- faults ------------------------------------------------------------------------------------------------------------


def worker(redis: Redis, concurrency: int = 5) -> None:
    """A living one, of another host."""
    identity = "web-2:9:aaaaaaaaaaaa"
    info = {"hostname": "web-2", "pid": 9, "identity": identity, "started_at": time.time() - 900, "tag": "shop",
            "concurrency": concurrency, "queues": ["mail"], "version": "7.3.2"}  # fmt: skip
    record = {"info": json.dumps(info), "busy": 0, "beat": time.time() + 3600, "quiet": "false", "rss": 1, "rtt_us": 1}
    redis.sadd("processes", identity)
    redis.hset(identity, mapping=record)


def retry_herd(redis: Redis) -> None:
    worker(redis)
    at = time.time()
    told = {"error_class": "Net::OpenTimeout", "error_message": "away", "retry_count": 0, "failed_at": at - 30.5}
    redis.zadd("retry", {job(number, **told): at + number / 20 for number in range(400)})
    redis.zadd("retry", {job(900 + number, **{**told, "class": "Other"}): at + number * 60 for number in range(5)})
    day = time.gmtime(at)
    minute = f"j|{day.tm_year}{day.tm_mon:02d}{day.tm_mday:02d}|{day.tm_hour}:{day.tm_min}"
    redis.hset(minute, mapping={"Mail|p": 10, "Mail|f": 0, "Mail|ms": 30_000})


def their_lock(redis: Redis) -> None:
    digest = "uniquejobs:cafe"
    redis.zadd("uniquejobs:digests", {digest: 1.5, "uniquejobs:fine": 2.5})
    redis.hset(f"{digest}:LOCKED", jid(1), "1700000000.25")
    redis.set(digest, jid(1))
    redis.set(f"{digest}:INFO", json.dumps({"type": "until_executed"}))
    redis.lpush(f"{digest}:QUEUED", "x")
    redis.pexpire(f"{digest}:QUEUED", 3_600_000)
    redis.hset("uniquejobs:fine:LOCKED", jid(2), "1700000000.25")
    redis.lpush("queue:mail", job(2))
    redis.sadd("queues", "mail")


def one_of_several(redis: Redis) -> None:
    their_lock(redis)
    redis.hset("uniquejobs:cafe:LOCKED", jid(2), "1700000000.5")


def our_lock(redis: Redis) -> None:
    redis.set("kiq:unique:feed", jid(1), px=7_200_000)
    redis.set("kiq:unique:fine", jid(2))
    redis.lpush("queue:mail", job(2))
    redis.sadd("queues", "mail")


def batch(redis: Redis, pending: list[str]) -> None:
    key = f"kiq:batch:{BID}"
    called = json.dumps({"class": "After", "args": [], "jid": jid(99), "queue": "after", "created_at": 1.5})
    record = {"created_at": time.time() - 3_600, "total": 3, "sealed": 1, "complete_told": 1, "success": called,
              "success_queue": "after"}  # fmt: skip
    redis.hset(key, mapping=record)
    redis.sadd(f"{key}:pending", *pending)
    for name in (key, f"{key}:pending"):
        redis.expire(name, 86_400)


def dead_in_batch(redis: Redis) -> None:
    batch(redis, [jid(1), jid(2)])
    redis.zadd("dead", {job(1, bid=BID, retry_count=25, error_class="E"): time.time() - 60.25})
    redis.lpush("queue:mail", job(2, bid=BID))
    redis.sadd("queues", "mail")


def gone_in_batch(redis: Redis) -> None:
    batch(redis, [jid(1), jid(3)])


def poison(redis: Redis) -> None:
    redis.sadd("queues", "mail")
    redis.rpush("queue:mail", job(1), job(2, recovered=2, kiq_lock="abc"), job(3))
    redis.set("kiq:unique:abc", jid(2), px=600_000)
    redis.zadd("retry", {job(4, recovered=2): time.time() + 600.5})


def resque(redis: Redis) -> None:
    redis.sadd("resque:workers", "web:1:mail")
    redis.set("resque:worker:web:1:mail", "{}")
    redis.sadd("resque:queues", "mail")
    redis.rpush("resque:queue:mail", json.dumps({"class": "Old", "args": [1]}), b"\xff\x00")
    redis.rpush("resque:failed", "{}")
    redis.set("resque:stat:processed", "7", px=9_000_000)
    redis.mset({"resque:stat:failed": "1", "resque:stat:failed:web:1:mail": "1"})
    redis.set("resque_theirs", "not listed")


def bare_resque(redis: Redis) -> None:
    redis.sadd("workers", "web:1:mail")
    redis.set("worker:web:1:mail", "{}")
    redis.rpush("failed", "{}")
    redis.sadd("queues", "mail")
    redis.rpush("queue:mail", job(1))


def rq(redis: Redis) -> None:
    redis.sadd("rq:queues", "rq:queue:default")
    redis.rpush("rq:queue:default", "u-1")
    redis.hset("rq:job:u-1", mapping={"data": b"\x80\x04", "status": "queued"})
    redis.zadd("rq:failed:default", {"u-2": 1.5})


def celery(redis: Redis) -> None:
    redis.sadd("_kombu.binding.celery", "celery\x06\x16\x06\x16celery")
    task = {"body": "W1sxXSwge31d", "headers": {"task": "m.f", "id": "u-1"}, "properties": {"delivery_tag": "t"}}
    redis.rpush("celery", json.dumps({**task, "content-type": "application/json", "content-encoding": "utf-8"}))
    redis.set("celery-task-meta-u-2", json.dumps({"status": "SUCCESS", "task_id": "u-2"}), px=9_000_000)


FAULTS: Final[dict[str, tuple[str, Callable[[Redis], None]]]] = {
    "QUE017": ("QUE017", retry_herd),
    "QUE014 sidekiq-unique-jobs": ("QUE014", their_lock),
    "QUE014 one of several holders": ("QUE014", one_of_several),
    "QUE014 ours": ("QUE014", our_lock),
    "QUE015 dead": ("QUE015", dead_in_batch),
    "QUE015 nowhere": ("QUE015", gone_in_batch),
    "QUE013": ("QUE013", poison),
    "NSP004 Resque": ("NSP004", resque),
    "NSP004 Resque without a prefix": ("NSP004", bare_resque),
    "NSP004 RQ": ("NSP004", rq),
    "NSP004 Celery": ("NSP004", celery),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_mended_and_put_back(fault: str, redis: Redis, redis_server: RedisServer, tmp_path: Path) -> None:
    check, make = FAULTS[fault]
    make(redis)
    before, file = contents(redis), tmp_path / "export"

    plan = run(redis_server, check)
    assert (plan.status, {one.state for one in plan.steps}, plan.export) == (1, {"planned"}, None), plan
    same(contents(redis), before)

    done = run(redis_server, check, file)
    assert (done.status, {one.state for one in done.steps}) == (0, {"done"}), done
    assert run(redis_server, check).steps == ()

    back = undo(file, Asked(redis=redis_server.url))
    assert (back.status, {one.state for one in back.steps}) == (0, {"done"}), back
    same(contents(redis), before)


@pytest.mark.long
@pytest.mark.parametrize("program", OTHERS, indirect=True)
def test_every_fault_on_other_servers(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> None:
    for number, (check, make) in enumerate(FAULTS.values()):
        redis.flushall()
        make(redis)
        before = contents(redis)
        assert run(redis_server, check, tmp_path / str(number)).status == 0, check
        assert undo(tmp_path / str(number), Asked(redis=redis_server.url)).status == 0, check
        same(contents(redis), before)


def test_what_each_leaves_behind(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> None:
    for number, (check, make) in enumerate(FAULTS.values()):
        redis.flushall()
        make(redis)
        assert run(redis_server, check, tmp_path / str(number)).status == 0
        left = {one: redis.type(one) for one in redis.keys("*") if not one.startswith(b"kiq:fix:")}
        if make is resque:
            assert set(left) == {b"resque_theirs"}
        elif make is bare_resque:
            assert set(left) == {b"queues", b"queue:mail"}
        elif make is their_lock:
            assert redis.zrange("uniquejobs:digests", 0, -1) == [b"uniquejobs:fine"]
            assert not redis.keys("uniquejobs:cafe*")
        elif make is one_of_several:
            assert redis.hkeys("uniquejobs:cafe:LOCKED") == [jid(2).encode()]
        elif make is dead_in_batch:
            again = json.loads(redis.lindex("queue:mail", 0))
            assert (again["jid"], again["retry_count"], "enqueued_at" in again) == (jid(1), 24, True)
        elif make is gone_in_batch:
            assert json.loads(redis.lindex("queue:after", 0))["class"] == "After"
            assert redis.hget(f"kiq:batch:{BID}", "success_told") == b"1"
        elif make is poison:
            assert [json.loads(one)["args"] for one in redis.lrange("queue:mail", 0, -1)] == [[1], [3]]
            assert {json.loads(one)["jid"] for one in redis.zrange("dead", 0, -1)} == {jid(2), jid(4)}
            assert not redis.exists("kiq:unique:abc", "retry")


def test_a_herd_keeps_its_bytes_and_its_turn(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> None:
    retry_herd(redis)
    before = redis.zrange("retry", 0, -1)

    assert run(redis_server, "QUE017", tmp_path / "e").status == 0
    after = redis.zrange("retry", 0, -1, withscores=True)
    mails = [json.loads(one)["args"][0] for one, _ in after if b'"Mail"' in one]
    assert (sorted(before), mails) == (sorted(one for one, _ in after), list(range(400)))
    minutes = [len(list(group)) for _, group in itertools.groupby(after, lambda one: int((one[1] - after[0][1]) // 60))]
    assert max(minutes) <= 110, minutes  # five threads, three seconds each


# -- what is left alone ------------------------------------------------------------------------------------------------


def test_who_lives_keeps_what_is_theirs(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> None:
    resque(redis)
    redis.hset("resque:workers:heartbeat", "web:1:mail", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    before = contents(redis)
    assert run(redis_server, "NSP004", tmp_path / "e").steps == ()
    assert contents(redis).keys() == before.keys()


def test_without_its_name_nothing_of_others_is_deleted(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> None:
    resque(redis)
    before = contents(redis)
    found = run(redis_server, "NSP004", tmp_path / "e", named=False)
    assert (found.status, [one.state for one in found.steps], found.export) == (1, ["planned"], None)
    assert "kiqdoctor fix NSP004 --apply" in found.steps[0].why
    same(contents(redis), before)


def in_flight(redis: Redis, number: int = 1, ttl_ms: int = 600_000) -> None:
    redis.sadd("processes", DEAD)
    work = {"queue": "mail", "payload": job(number), "run_at": int(time.time())}
    redis.hset(f"{DEAD}:work", "t1", json.dumps(work))
    redis.pexpire(f"{DEAD}:work", ttl_ms)


def private(redis: Redis) -> None:
    redis.rpush(f"queue:sq|{DEAD}|mail", *(job(number) for number in range(3)))


@pytest.mark.parametrize(
    "place", ["queue:mail", "queue:unregistered", "retry", "schedule", "dead", "queue:sq|x:1:aa|mail"]
)
def test_a_job_of_the_dead_that_lies_elsewhere_is_not_doubled(
    place: str, redis: Redis, redis_server: RedisServer, tmp_path: Path
) -> None:
    in_flight(redis)
    if place in {"retry", "schedule", "dead"}:
        redis.zadd(place, {job(1): time.time() + 60})
    else:
        redis.rpush(place, job(1))
    found = run(redis_server, "PRO008", tmp_path / "e")
    assert found.status == 0, found
    assert "lie elsewhere" in found.steps[0].step.does
    assert not redis.exists(f"{DEAD}:work")
    assert redis.llen("queue:mail") == (place == "queue:mail")
    assert undo(tmp_path / "e", Asked(redis=redis_server.url)).status == 0
    assert 0 < redis.pttl(f"{DEAD}:work") <= 600_000


def test_a_record_that_has_ended_takes_no_job_back(redis: Redis, redis_server: RedisServer, tmp_path: Path) -> None:
    in_flight(redis, ttl_ms=20_000)
    assert run(redis_server, "PRO008", tmp_path / "e").status == 0
    lines = (tmp_path / "e").read_text(encoding="utf-8")
    past = json.loads(lines.splitlines()[1])
    past["changes"][0]["edits"][0][0][4] = str(int(time.time() * 1000) - 1)
    (tmp_path / "e").write_text("\n".join([lines.splitlines()[0], json.dumps(past)]), encoding="utf-8")

    assert undo(tmp_path / "e", Asked(redis=redis_server.url)).status == 1
    assert (redis.llen("queue:mail"), redis.exists(f"{DEAD}:work")) == (1, 0)


# -- killed at each command --------------------------------------------------------------------------------------------

JOBS_OF_THE_DEAD: Final = {"PRO008": ("PRO008", in_flight), "PRO014": ("PRO014", private)}
KILLED: Final = {*JOBS_OF_THE_DEAD, "QUE017", "QUE014 sidekiq-unique-jobs", "QUE015 nowhere", "QUE013", "NSP004 Resque"}
HURRIED: Final = (
    "import sys; sys.path[:0] = {paths!r}; from test_remedies import hurried; hurried({url!r}, {check!r}, {file!r})"
)


def hurried(url: str, check: str, file: str) -> None:
    """`fix --apply` in a process of its own, by a clock that does not wait."""
    asked = Asked(redis=url, live=True, select=(check,), window_s=WINDOW)
    sys.exit(fix(asked, apply=True, export=Path(file), clock=quick()).status)


def jobs_of(redis: Redis) -> Counter[str]:
    """Every jid that lies in a list or a set, and how often."""
    found: Counter[str] = Counter()
    for key in redis.keys("*"):
        kind = redis.type(key)
        members = redis.lrange(key, 0, -1) if kind == b"list" else redis.zrange(key, 0, -1) if kind == b"zset" else []
        found.update(json.loads(one)["jid"] for one in members if one.startswith(b"{") and b'"jid"' in one)
    return found


@pytest.mark.long
@pytest.mark.parametrize("fault", sorted(KILLED))
def test_killed_after_each_command_it_loses_nothing_and_a_second_run_completes(
    fault: str, redis: Redis, redis_server: RedisServer, tmp_path: Path
) -> None:
    check, make = {**FAULTS, **JOBS_OF_THE_DEAD}[fault]
    paths = [str(Path(__file__).parent), str(Path(__file__).parent / "support")]
    for number in itertools.count():
        redis.flushall()
        make(redis)
        before, jobs = contents(redis), jobs_of(redis)
        file = tmp_path / str(number)
        with Proxy.start(redis_server.port) as proxy:
            faults = [proxy.hold_reply(b"EVAL") for _ in range(number + 1)]
            code = HURRIED.format(paths=paths, url=proxy.url, check=check, file=str(file))
            running = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE)
            for one in faults[:-1]:
                while not one.happened.wait(0.01) and running.poll() is None:
                    pass
                one.go_on.set()
            while not faults[-1].happened.wait(0.01) and running.poll() is None:
                pass
            over = running.poll() is not None
            running.kill()
            _, said = running.communicate()
            if not over and check not in {"NSP004", "QUE015", "PRO008"}:
                assert jobs_of(redis) == jobs
            if check == "PRO008":
                assert jobs_of(redis)[jid(1)] == (0 if redis.exists(f"{DEAD}:work") else 1)
            assert run(redis_server, check, tmp_path / f"{number}-again").status == 0
            again = tmp_path / f"{number}-again"
            if again.exists():
                assert undo(again, Asked(redis=redis_server.url)).status == 0
            assert undo(file, Asked(redis=proxy.url)).status == 0
        same(contents(redis), before)
        if over:
            assert number > 0, said
            return


# -- two at once -------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("fault", sorted(KILLED))
def test_of_two_that_planned_the_same_one_does_it_and_the_other_says_so(
    fault: str, redis: Redis, redis_server: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, make = {**FAULTS, **JOBS_OF_THE_DEAD}[fault]
    make(redis)
    before, first, second = contents(redis), tmp_path / "first", tmp_path / "second"
    seen: list[tuple[Fixed, Counter[str]]] = []
    plain = fixing._exported

    def overtaken(file: Path, export: Export) -> None:
        """All is planned and nothing is done: somebody else plans and does the same meanwhile."""
        plain(file, export)
        if file == first:
            done = run(redis_server, check, second)
            seen.append((done, jobs_of(redis)))

    monkeypatch.setattr(fixing, "_exported", overtaken)
    late = run(redis_server, check, first)

    [(done, jobs)] = seen
    assert (done.status, {one.state for one in done.steps}) == (0, {"done"}), done
    assert (late.status, {one.state for one in late.steps}) == (1, {"stopped"}), late
    assert all(one.why for one in late.steps)
    assert jobs_of(redis) == jobs, "nothing is done twice"
    for file in (first, second):
        assert undo(file, Asked(redis=redis_server.url)).status == 0
    same(contents(redis), before)
