"""Python and the real Ruby Sidekiq on one Redis: each runs what the other pushed, and Ruby sees our process."""

import json
from typing import Any

import pytest
from doctoring import check
from ruby import WEB, Sidekiq
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor

RUBY = """\
class Note
  include Sidekiq::Worker
  def perform(text)
    Sidekiq.redis { |redis| redis.rpush('noted', text) }
  end
end
class Sleeper
  include Sidekiq::Worker
  def perform(seconds)
    sleep seconds
  end
end
"""
PYTHON = """
import redis
from kiqdoctor import job
client = redis.Redis.from_url("{url}")

@job(name="PyNote")
def note(text):
    client.rpush("noted", text)

@job(name="PyFail", retry=3)
def fail(text):
    raise ValueError(text)

@job(name="PySleep")
def sleep(seconds):
    import time
    time.sleep(seconds)
"""
pytestmark = pytest.mark.ruby


def test_ruby_enqueues_and_python_runs(redis: Any, redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    with Worker.start(PYTHON.replace("{url}", redis_server.url), redis_server.url):
        sidekiq.run("Sidekiq::Client.push('class' => 'PyNote', 'args' => ['from ruby'])", redis_server.url)
        sidekiq.run(
            "Sidekiq::Client.push('class' => 'PyNote', 'args' => ['later'], 'at' => Time.now.to_f + 1)",
            redis_server.url,
        )
        eventually(lambda: redis.lrange("noted", 0, -1) == [b"from ruby", b"later"])


def test_python_enqueues_and_ruby_runs(redis: Any, redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    kiqdoctor.configure(redis=redis_server.url)
    note = kiqdoctor.job(name="Note", queue="default")(lambda text: None)
    with sidekiq.start(RUBY, redis_server.url):
        note.perform_async("from python")
        note.perform_bulk([["one"], ["two"]])
        note.perform_in(1, "later")
        eventually(lambda: set(redis.lrange("noted", 0, -1)) == {b"from python", b"one", b"two", b"later"})


def test_a_failure_of_python_s_is_tried_again_by_ruby(redis: Any, redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    with Worker.start(PYTHON.replace("{url}", redis_server.url), redis_server.url):
        sidekiq.run("Sidekiq::Client.push('class' => 'PyFail', 'args' => ['x'], 'retry' => 3)", redis_server.url)
        eventually(lambda: redis.zcard("retry") == 1)
    seen = sidekiq.ask(
        "require('sidekiq/api') && Sidekiq::RetrySet.new.map { |job| [job.klass, job['error_class'], job['retry_count']] }",  # noqa: E501
        redis_server.url,
    )
    assert seen == [["PyFail", "ValueError", 0]]
    sidekiq.run("require 'sidekiq/api'; Sidekiq::RetrySet.new.each(&:retry)", redis_server.url)
    assert json.loads(redis.lindex("queue:default", 0))["retry_count"] == -1


def test_ruby_s_own_eyes_see_our_process(redis: Any, redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    with Worker.start(
        PYTHON.replace("{url}", redis_server.url), redis_server.url, "-c", "7", "--tag", "pytag"
    ) as worker:
        sidekiq.run("Sidekiq::Client.push('class' => 'PySleep', 'args' => [30])", redis_server.url)
        eventually(lambda: redis.hlen(next(redis.scan_iter("*:workers"), "none")) == 1)
        [seen] = sidekiq.ask(
            "require('sidekiq/api') && Sidekiq::ProcessSet.new.map"
            " { |p| [p['hostname'], p['pid'], p['tag'], p['concurrency'], p['queues'], p['quiet'], p['busy']] }",
            redis_server.url,
        )
        assert seen[1:4] == [worker.pid, "pytag", 7]
        assert seen[4:] == [["default"], "false", 1]
        work = sidekiq.ask(
            "require('sidekiq/api') && Sidekiq::WorkSet.new.map"
            " { |_, _, w| w.respond_to?(:job) ? w.job.klass : w['payload']['class'] }",
            redis_server.url,
        )
        assert work == ["PySleep"]
        page = sidekiq.run(WEB + "puts $web.get('/busy').body", redis_server.url)
        assert "pytag" in page
        assert f":{worker.pid}" in page
        assert "PySleep" in page


def test_a_signal_from_ruby_s_web_ui_stops_our_process(redis: Any, redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    with Worker.start(PYTHON.replace("{url}", redis_server.url), redis_server.url) as worker:
        sidekiq.run("require 'sidekiq/api'; Sidekiq::ProcessSet.new.each(&:stop!)", redis_server.url)
        assert worker.process is not None
        assert worker.process.wait(120) == 0


def test_the_doctor_on_a_ruby_fleet_healthy_and_killed(redis: Any, redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    with sidekiq.start(RUBY, redis_server.url, concurrency=3) as worker:
        healthy = check(redis_server.url)
        counts = healthy.report["summary"]["findings"]
        assert healthy.status == 0
        assert (counts["critical"], counts["high"]) == (0, 0)

        sidekiq.run("3.times { Sidekiq::Client.push('class' => 'Sleeper', 'args' => [100]) }", redis_server.url)
        eventually(lambda: redis.hlen(f"{worker.identity}:{sidekiq.work}") == 3)
        assert check(redis_server.url).outcome("PRO008") == "pass"
        worker.kill()

        killed = check(redis_server.url)

    [finding] = killed.result("PRO008")["findings"]
    assert finding["severity"] == "critical"
    assert "3 jobs in flight" in finding["title"]


def test_the_doctor_on_our_own_healthy_worker(redis: Any, redis_server: RedisServer) -> None:
    with Worker.start(PYTHON.replace("{url}", redis_server.url), redis_server.url):
        found = check(redis_server.url, "--ignore", "NSP006")  # our fixture flushes this Redis

    assert found.status == 0
    assert {severity for severity, count in found.report["summary"]["findings"].items() if count} <= {"low", "info"}


@pytest.mark.parametrize("namespace", ["shop", "a:b"])
def test_a_namespaced_ruby_fleet(redis: Any, redis_server: RedisServer, namespace: str, sidekiq: Sidekiq) -> None:
    if not sidekiq.namespaced:
        pytest.skip(f"Sidekiq {sidekiq.version} refuses a namespace, as test_ruby_worker.py sees")
    with sidekiq.start(RUBY, redis_server.url, namespace=namespace):
        sidekiq.run("Sidekiq::Client.push('class' => 'Sleeper', 'args' => [1], 'queue' => 'default')", redis_server.url)
        inside = check(redis_server.url, "--namespace", namespace)
        outside = check(redis_server.url)

    assert inside.outcome("PRO001") == "pass"
    assert outside.severities("NSP001") == inside.severities("NSP001") == ["critical"]
