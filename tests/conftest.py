"""Fixtures for every room: a real Redis server, flushed for each test. `from servers import ...` works in all tests."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as redis_py

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "support"))

import ruby
from servers import RedisServer


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A started server for the whole session: .url, .port, .pid, .client()."""
    with RedisServer.start() as server:
        yield server


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator["redis_py.Redis"]:
    """A client of the session's server, its database empty."""
    client = redis_server.client()
    client.flushall()
    yield client
    client.close()


@pytest.fixture(scope="module", params=ruby.VERSIONS, ids="sidekiq{}".format)
def sidekiq(request: pytest.FixtureRequest) -> ruby.Sidekiq:
    """Each of the real Sidekiqs."""
    return ruby.require(request.param)


@pytest.fixture(autouse=True)
def _registry() -> Iterator[None]:
    """Jobs that a test defines are gone after it; their names are free again."""
    module = sys.modules.get("kiqdoctor.runtime.job")
    before = dict(module.REGISTRY) if module is not None else {}
    yield
    module = sys.modules.get("kiqdoctor.runtime.job")
    if module is not None:
        module.REGISTRY.clear()
        module.REGISTRY.update(before)
