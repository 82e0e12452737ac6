"""The core of the runtime's tests runs on four servers: fetching, giving back, recovery, each feature of a job."""

from collections.abc import Iterator

import pytest
from servers import OTHERS, SYSTEM, using

CORE = {"test_reliable_fetch", "test_fetch_property", "test_recovery", "test_scheduled", "test_jobs"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    module = metafunc.definition.path
    if "redis_server" in metafunc.fixturenames and (module.stem in CORE or module.parent.name == "features"):
        others = [pytest.param(kind, marks=pytest.mark.long) for kind in OTHERS]
        metafunc.parametrize("program", [SYSTEM, *others], indirect=True, scope="session")


@pytest.fixture(autouse=True)
def _own_servers(program: str) -> Iterator[None]:
    """What a test starts itself is of the same kind."""
    with using(program):
        yield
