"""The helper around the real Sidekiq, which the lab's tests use too."""

import pytest
import redis as redis_py
from ruby import RubySidekiq, ask_ruby, run_ruby
from servers import RedisServer, eventually

APP = """\
class Note
  include Sidekiq::Worker
  def perform(text)
    Sidekiq.redis { |redis| redis.rpush('noted', text) }
  end
end
"""


@pytest.mark.ruby
@pytest.mark.parametrize("namespace", [None, "myapp"])
def test_ruby_runs_what_ruby_pushed(redis: "redis_py.Redis", redis_server: RedisServer, namespace: str | None) -> None:
    url = redis_server.url
    with RubySidekiq.start(APP, url, concurrency=2, namespace=namespace) as worker:
        run_ruby("Sidekiq::Client.push('class' => 'Note', 'args' => ['hello'])", url, namespace=namespace)
        noted = f"{namespace}:noted" if namespace else "noted"
        eventually(lambda: redis.lrange(noted, 0, -1) == [b"hello"], worker.log())
        assert worker.identity.split(":")[1] == str(worker.pid)
        assert worker.stop() == 0
    assert ask_ruby("Sidekiq::VERSION", url).startswith("6.")
