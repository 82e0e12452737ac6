"""Beside the real gitlab-sidekiq-fetcher: what a killed process held lies in its working list, and nothing is lost."""

import pytest
import redis as redis_py
import roots
from doctoring import Examination, check
from ruby import require
from servers import RedisServer, eventually

APP = """\
require 'sidekiq-reliable-fetch'
Sidekiq.configure_server { |config| Sidekiq::ReliableFetch.setup_reliable_fetch!(config) }
class Slow
  include Sidekiq::Worker
  def perform
    sleep 600
  end
end
"""
SIGN = "reliable-fetcher-heartbeat-*"


def judged(url: str) -> Examination:
    return check(url, "--select", "CFG003,PRO008,PRO014,NSP004,NSP005,QUE010,QUE013")


@pytest.mark.long
@pytest.mark.ruby
def test_a_killed_process_of_gitlab_s_fetcher(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    sidekiq = require(6)
    try:
        sidekiq.run("require 'sidekiq-reliable-fetch'", redis_server.url)
    except AssertionError:
        roots.absent("gitlab-sidekiq-fetcher is not installed (Debian: ruby-gitlab-sidekiq-fetcher)")
    with sidekiq.start(APP, redis_server.url, concurrency=2) as worker:
        sidekiq.run("Sidekiq::Client.push('class' => 'Slow', 'args' => [])", redis_server.url)
        eventually(lambda: redis.hlen(f"{worker.identity}:workers") == 1, "its beat tells the job")
        alive = judged(redis_server.url)
        worker.kill()
        killed = judged(redis_server.url)
        redis.delete(*redis.scan_iter(SIGN))  # as if a minute had passed
        orphaned = judged(redis_server.url)

    assert [one["check"] for one in alive.report["results"] if one["outcome"] != "pass"] == []
    assert (killed.outcome("PRO008"), killed.outcome("CFG003")) == ("pass", "pass")
    assert orphaned.outcome("PRO008") == "pass"
    assert orphaned.severities("PRO014") == ["critical"]
