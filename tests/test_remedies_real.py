"""Remedies on what the real Sidekiqs write and do: jobs of a killed worker, a herd of its retries."""

import json
from pathlib import Path
from typing import Any, Final

from ruby import RubySidekiq, Sidekiq
from servers import RedisServer, eventually
from test_remedies import contents, jid, run, same

from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.fixing import undo

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
        eventually(lambda: redis.hlen(f"{worker.identity}:{sidekiq.work}") == 3, "its beat tells of three", seconds=30)
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
        eventually(lambda: not redis.llen("queue:default"), "another runs them", seconds=30)


def test_a_herd_of_its_own_retries(sidekiq: Sidekiq, redis: Any, redis_server: RedisServer, tmp_path: Path) -> None:
    with sidekiq.start(APP, redis_server.url, concurrency=1) as worker:
        push(redis, "Call", True, numbers=range(1))
        push(redis, "Call", False, numbers=range(1, 151))
        eventually(lambda: redis.zcard("retry") == 150, "all failed", seconds=60)
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
        eventually(lambda: redis.keys("j|*"), f"durations of {worker.identity}", seconds=90)
