"""Remedies on what the real Sidekiqs write and do: jobs of a killed worker, a herd of its retries."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from ruby import RubySidekiq, Sidekiq
from servers import RedisServer, eventually
from test_remedies import contents, jid, run, same

from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.fixing import fix, undo

APP: Final = """
class Call
  include Sidekiq::Worker
  def perform(good)
    raise IOError, 'away' unless good
    sleep 2
  end
end
class Nap
  include Sidekiq::Worker
  def perform(seconds) = sleep(seconds)
end
"""


def push(redis: Any, name: str, *args: object, numbers: range) -> None:
    redis.sadd("queues", "default")
    for number in numbers:
        fields = {"class": name, "args": args, "queue": "default", "jid": jid(number), "retry": True, "created_at": 1.5}
        redis.lpush("queue:default", json.dumps({**fields, "enqueued_at": 1.5}))


def test_jobs_of_a_killed_worker_run_again(
    sidekiq: Sidekiq, redis: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    with sidekiq.start(APP, redis_server.url) as worker:
        push(redis, "Nap", 600, numbers=range(3))
        eventually(lambda: redis.hlen(f"{worker.identity}:{sidekiq.work}") == 3, "its beat tells of three")
    assert redis.llen("queue:default") == 0
    before = contents(redis)

    done = run(redis_server, "PRO008", tmp_path / "e")
    assert (done.status, [one.state for one in done.steps]) == (0, ["done"]), done
    assert sorted(json.loads(one)["jid"] for one in redis.lrange("queue:default", 0, -1)) == [jid(n) for n in range(3)]
    assert undo(tmp_path / "e", Asked(redis=redis_server.url)).status == 0
    same(contents(redis), before)

    assert run(redis_server, "PRO008", tmp_path / "f").status == 0
    redis.delete("processes")
    with sidekiq.start(APP.replace("sleep(seconds)", "nil"), redis_server.url):
        eventually(lambda: not redis.llen("queue:default"), "another runs them")


def test_a_herd_of_its_own_retries(sidekiq: Sidekiq, redis: Any, redis_server: RedisServer, tmp_path: Path) -> None:
    with sidekiq.start(APP, redis_server.url, concurrency=1) as worker:
        push(redis, "Call", True, numbers=range(1))
        push(redis, "Call", False, numbers=range(1, 151))
        eventually(lambda: redis.zcard("retry") == 150, "all failed")
        _counted(worker, sidekiq, redis)
        members = redis.zrange("retry", 0, -1)
        plan = run(redis_server, "QUE017")
        if sidekiq.major < 7:  # it counts no durations, and what is not known is not spread
            assert (plan.status, plan.steps) == (3, ())
            return
        done = run(redis_server, "QUE017", tmp_path / "e")
        assert (done.status, [one.state for one in done.steps]) == (0, ["done"]), done
    assert set(redis.zrange("retry", 0, -1)) <= set(members)
    assert undo(tmp_path / "e", Asked(redis=redis_server.url)).status in {0, 1}  # some may have run meanwhile


def _counted(worker: RubySidekiq, sidekiq: Sidekiq, redis: Any) -> None:
    if sidekiq.major >= 7:
        eventually(lambda: redis.keys("j|*"), f"durations of {worker.identity}")


def test_a_leftover_of_an_old_release_is_ended_and_each_job_runs_once(
    sidekiq: Sidekiq, redis: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    folder = sidekiq.place.folder("test-releases-")
    for name in ("1", "2"):
        (folder / "releases" / name).mkdir(parents=True)
    (folder / "current").symlink_to("releases/2")
    asked = Asked(redis=redis_server.url, live=True, select=("PRO003",))
    words = ["fix", "PRO003", "--apply", "--redis", redis_server.url, "--export", str(tmp_path / "e")]
    try:
        with (
            sidekiq.start(APP, redis_server.url, folder=folder / "releases" / "1") as old,
            sidekiq.start(APP, redis_server.url, folder=folder / "releases" / "2") as new,
        ):
            push(redis, "Nap", 4, numbers=range(20))
            plan = fix(asked, apply=False, export=Path())
            assert [one.step.leaving.pid for one in plan.steps if one.step.leaving] == [old.pid], plan
            first = subprocess.Popen([sys.executable, "-m", "kiqdoctor", *words], stdout=subprocess.DEVNULL)
            eventually(lambda: "TSTP" in old.log(), "it was told to be quiet")
            first.kill()
            first.wait()
            assert old.process is not None
            assert old.process.poll() is None

            again = fix(asked, apply=True, export=tmp_path / "f")
            assert (again.status, [one.state for one in again.steps]) == (0, ["done"]), again
            assert old.process.wait(60) == 0
            assert new.process is not None
            assert new.process.poll() is None
            eventually(lambda: redis.get("stat:processed") == b"20", "every job ran")
            assert (redis.get("stat:failed") or b"0", redis.llen("queue:default")) == (b"0", 0)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
