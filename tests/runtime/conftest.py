"""The core of the runtime's tests runs on four servers: fetching, giving back, recovery, each feature of a job."""

from collections.abc import Iterator
from typing import Any

import pytest
from faults import Proxy
from fetching import Start, starting
from servers import OTHERS, SYSTEM, RedisServer, using

CORE = {"test_recovery", "test_scheduled", "test_jobs"}
FOLDERS = {"features", "fetching"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.definition.path
    if "redis_server" in metafunc.fixturenames and (module.stem in CORE or module.parent.name in FOLDERS):
        others = [pytest.param(kind, marks=pytest.mark.long) for kind in OTHERS]
        metafunc.parametrize("program", [SYSTEM, *others], indirect=True, scope="session")


@pytest.fixture(autouse=True)
def _own_servers(program: str) -> Iterator[None]:
    """What a test starts itself is of the same kind."""
    with using(program):
        yield


@pytest.fixture
def proxy(redis: Any, redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy.start(redis_server.port) as found:
        yield found


@pytest.fixture
def start(redis: Any, redis_server: RedisServer) -> Iterator[Start]:
    with starting(redis_server.url) as one:
        yield one
