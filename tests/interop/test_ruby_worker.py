"""The helper around the real Sidekiq, which the lab's tests use too."""

import pytest
import redis as redis_py
from ruby import Sidekiq
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
def test_ruby_runs_what_ruby_pushed(
    redis: "redis_py.Redis", redis_server: RedisServer, namespace: str | None, sidekiq: Sidekiq
) -> None:
    url = redis_server.url
    if namespace and not sidekiq.namespaced:
        with pytest.raises(AssertionError, match="uses the namespace 'myapp' but this feature is no longer supported"):
            sidekiq.run("Sidekiq.redis { |redis| redis.call('PING') }", url, namespace=namespace)
        return
    with sidekiq.start(APP, url, concurrency=2, namespace=namespace) as worker:
        sidekiq.run("Sidekiq::Client.push('class' => 'Note', 'args' => ['hello'])", url, namespace=namespace)
        noted = f"{namespace}:noted" if namespace else "noted"
        eventually(lambda: redis.lrange(noted, 0, -1) == [b"hello"], worker.log())
        assert worker.identity.split(":")[1] == str(worker.pid)
        assert worker.stop() == 0
    assert sidekiq.ask("Sidekiq::VERSION", url) == sidekiq.version
