"""A worker whose Redis is a proxy of its own host, as stunnel is: whoever asks for it there is no stranger."""

from pathlib import Path
from typing import Any

import pytest
from doctoring import check
from faults import Proxy
from ruby import require
from servers import RedisServer, eventually

pytestmark = pytest.mark.ruby
APP = "class Nap\n  include Sidekiq::Worker\n  def perform(*) = sleep(600)\nend\n"
CHECKS = ("PRO001", "PRO004", "PRO008", "THR005")


def test_a_worker_behind_a_proxy_is_known_and_the_proxy_is_no_stranger(
    redis: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text("[checks.PRO004]\nbooting-s = 1\n")

    def old() -> bool:
        return any(int(one["age"]) > 1 and "b" in one["flags"] for one in redis.client_list())

    with Proxy.start(redis_server.port) as proxy, require(6).start(APP, proxy.url, concurrency=1):
        eventually(old, "a pop that is older than a second")
        found = check(redis_server.url, "--select", ",".join(CHECKS), "--config", str(settings))

    assert {one: found.outcome(one) for one in CHECKS} == dict.fromkeys(CHECKS, "pass"), found.report
