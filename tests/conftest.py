"""Fixtures for every room: a real Redis server, flushed for each test. `from servers import ...` works in all tests."""

import os
import signal
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import redis as redis_py

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent / "support"))

import apart
import limits
import marking
import ruby
import surroundings
from servers import SEEN, SYSTEM, RedisServer, using

# How long a machine takes is no property of the code.
hypothesis.settings.register_profile("house", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("house")
surroundings.leave(os.environ)
os.environ.setdefault("KIQDOCTOR_CACHE", "off")  # what one test read is no other's
# A container often says that nothing compiled is kept: then each of a thousand processes that tests start compiles all
# of ours anew, which takes longer than what it does.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
COMPUTING, WAITING = 1, 2.5  # processes of xdist for each core: pure tests compute, real ones wait for other processes
MOST = 8  # each collects all tests, and has servers of its own
LATER = ruby.VERSIONS[1:]  # Sidekiqs in roots of their own: what runs on this host's is enough beside each change
LONG = "python -m pytest -m long"
LEFT_OUT = pytest.StashKey[set[str]]()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One file needs no others, nor do those who cannot be kept apart."""
    alone = len(config.args) == 1 and ".py" in config.args[0]
    each = COMPUTING if config.option.markexpr == "not real" else WAITING
    return 0 if alone or not apart.possible() else min(max(2, int(len(os.sched_getaffinity(0)) * each)), MOST)


def pytest_configure(config: pytest.Config) -> None:
    marking.watch()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell starts what runs in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)  # or every child would ignore it too
    if (processes := getattr(config.option, "tx", None)) and apart.possible():
        config.option.tx = [apart.spec()] * len(processes)


def pytest_itemcollected(item: pytest.Item) -> None:
    if getattr(getattr(item, "callspec", None), "params", {}).get("sidekiq") in LATER:
        item.add_marker("long")
    if item.get_closest_marker("long") or marking.real(item):
        item.add_marker("real")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    with limits.limited(item):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    if item.get_closest_marker("real"):
        return (yield)
    marking.begin()
    try:
        return (yield)
    finally:
        if started := marking.end():
            pytest.fail(f"a pure test started a process; mark it real: {started}")


def pytest_deselected(items: list[pytest.Item]) -> None:
    if items:
        left = items[0].config.stash.setdefault(LEFT_OUT, set())
        left.update(item.nodeid for item in items if item.get_closest_marker("long"))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of xdist tells its controller what it saw."""
    told = getattr(session.config, "workeroutput", None)
    if told is not None:
        told["seen"], told["left out"] = sorted(SEEN), sorted(session.config.stash.get(LEFT_OUT, ()))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    told = getattr(node, "workeroutput", {})
    SEEN.update(told.get("seen", ()))
    node.config.stash.setdefault(LEFT_OUT, set()).update(told.get("left out", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if SEEN:
        terminalreporter.write_line(f"real parts: {', '.join(sorted(SEEN))}")
    if left := config.stash.get(LEFT_OUT, None):
        terminalreporter.write_line(f"left out: {len(left)} long tests ({LONG})")


@pytest.fixture(scope="session")
def program(request: pytest.FixtureRequest) -> str:
    """Which server the tests run on: the system's where nothing else is asked."""
    return str(getattr(request, "param", SYSTEM))


@pytest.fixture(scope="session")
def redis_server(program: str) -> Iterator[RedisServer]:
    """A started server for the whole session: .url, .port, .pid, .client()."""
    with using(program), RedisServer.start() as server:
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
