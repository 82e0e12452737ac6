"""The live view on the real Ruby Sidekiq: what it runs, what failed and why, and what is done to it from here."""

import re

import pytest
import redis as redis_py
from ruby import Sidekiq
from screens import perform, screen, until
from servers import RedisServer, eventually
from textual.pilot import Pilot

from kiqdoctor.clock import SYSTEM
from kiqdoctor.connection import resolve_url
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.living import Live
from kiqdoctor.top.app import Top

pytestmark = pytest.mark.ruby

APP = """
class Nap
  include Sidekiq::Worker
  def perform(seconds) = sleep(seconds)
end
class Boom
  include Sidekiq::Worker
  sidekiq_options backtrace: true
  def perform(*) = raise(ArgumentError, 'no such order')
end
"""


@pytest.mark.long
def test_a_ruby_fleet_is_watched_and_acted_on(
    redis: "redis_py.Redis", redis_server: RedisServer, sidekiq: Sidekiq
) -> None:
    namespace = "shop" if sidekiq.namespaced else None
    prefix = f"{namespace}:" if namespace else ""
    with sidekiq.start(APP, redis_server.url, concurrency=3, namespace=namespace) as worker:
        sidekiq.run(APP + "Nap.perform_async(600); Boom.perform_async(7)", redis_server.url, namespace=namespace)
        eventually(lambda: redis.zcard(f"{prefix}retry") == 1, "the failure")
        source = Live(Asked(live=True, redis=redis_server.url, namespace=namespace), resolve_url(redis_server.url, {}))

        async def steps(pilot: Pilot[int], app: Top) -> None:
            await pilot.press("2")
            await until(pilot, lambda: f":{worker.pid}:" in screen(app) and "1/3" in screen(app))
            await pilot.press("4")
            await until(pilot, lambda: "Nap" in screen(app) and "none seen to end" in screen(app))
            await pilot.press("t")
            await until(pilot, lambda: "No dump" in screen(app) and "TTIN" in screen(app))
            await pilot.press("5")
            await until(pilot, lambda: "ArgumentError: no such" in screen(app))
            await pilot.press("enter")
            await until(pilot, lambda: "app.rb:" in screen(app))
            failed = redis.get(f"{prefix}stat:failed")
            await pilot.press("escape", "f")
            await until(pilot, lambda: re.search(r"ArgumentError +Boom +default +1 ", screen(app)))
            await pilot.press("enter")
            await until(pilot, lambda: "1 are Boom with ArgumentError in default" in screen(app))
            await pilot.press("R")
            await until(pilot, lambda: "Retry 1 job of retry?" in screen(app))
            await pilot.press("y")
            await until(
                pilot, lambda: redis.zcard(f"{prefix}retry") == 1 and redis.get(f"{prefix}stat:failed") != failed
            )
            await pilot.press("2", "Q")
            await until(pilot, lambda: "Quiet 1 process" in screen(app))
            await pilot.press("y")
            await until(pilot, lambda: " quiet " in screen(app))

        try:
            perform(steps, source, clock=SYSTEM, interval=0.2, asked=source.writing)
        finally:
            source.close()
