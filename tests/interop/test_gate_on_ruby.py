"""The gate on a live Redis with a real Ruby Sidekiq on it: healthy, and killed with jobs in flight."""

from collections.abc import Iterator
from typing import Final

import pytest
import redis as redis_py
from doctoring import Examination, kiqdoctor
from ruby import RubySidekiq, Sidekiq
from servers import RedisServer, eventually

from kiqdoctor.render.formats import NAMES

# A job that runs until somebody lets it end.
APP: Final = """\
class Nap
  include Sidekiq::Worker
  def perform(number)
    Sidekiq.redis { |redis| redis.rpush('begun', number) }
    sleep 0.05 until Sidekiq.redis { |redis| redis.get('wake') }
  end
end
"""
PUSH: Final = "3.times { |number| Sidekiq::Client.push('class' => 'Nap', 'args' => [number]) }"

pytestmark = pytest.mark.ruby


@pytest.fixture
def worker(redis: "redis_py.Redis", redis_server: RedisServer, sidekiq: Sidekiq) -> Iterator[RubySidekiq]:
    """Three of three threads are busy, and a beat has said so."""
    with sidekiq.start(APP, redis_server.url, concurrency=3) as started:
        sidekiq.run(PUSH, redis_server.url)
        eventually(lambda: redis.llen("begun") == 3, started.log())
        eventually(lambda: redis.hlen(f"{started.identity}:{sidekiq.work}") == 3, "a beat with what is in flight")
        yield started


def gate(url: str, *words: str) -> Examination:
    """The checks of Redis and of the fleet that it holds; other tests' workers on this host are none of ours."""
    return kiqdoctor("gate", "--live", "--redis", url, "--ignore", "PRO003,PRO004", *words)


def test_a_busy_sidekiq_is_healthy_and_killed_it_is_not(
    redis: "redis_py.Redis", redis_server: RedisServer, worker: RubySidekiq
) -> None:
    url = redis_server.url
    healthy = gate(url, "--require", "RED001,PRO001,PRO008", "--format", "json")
    assert healthy.status == 0, healthy.out
    assert healthy.outcome("PRO001") == healthy.outcome("PRO008") == "pass"
    assert healthy.report["summary"]["findings"]["critical"] == 0
    said = healthy.err.splitlines()[-1]
    assert said.startswith(("kiqdoctor gate: healthy: ", "kiqdoctor gate: passed: ")), said

    worker.kill()
    for key in redis.keys(f"{worker.identity}*"):
        redis.persist(key)  # its record ends a minute later, and so many examinations may take longer

    killed = gate(url, "--format", "json")
    assert killed.status == 1
    assert killed.severities("PRO008") == ["critical"]
    [finding] = killed.result("PRO008")["findings"]
    assert finding["subject"] == f"process:{worker.identity}"
    assert "died with 3 jobs in flight" in finding["title"]
    assert str(finding["evidence"]).count("Nap ") == 3
    for form in NAMES:
        assert gate(url, "--select", "PRO008", "--format", form).status == 1, form
    nagios = gate(url, "--select", "PRO008", "--nagios")
    assert (nagios.status, nagios.out.partition(" - ")[0]) == (2, "KIQDOCTOR CRITICAL")


def test_one_that_ended_cleanly_left_nothing_in_flight(
    redis: "redis_py.Redis", redis_server: RedisServer, worker: RubySidekiq
) -> None:
    redis.set("wake", 1)
    assert worker.stop() == 0

    assert gate(redis_server.url, "--select", "PRO008", "--format", "json").status == 0
