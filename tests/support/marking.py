"""Which tests are real: they need a server, or a process of another program, Ruby or a browser. The rest is pure.

Found by the fixtures and helpers that a test or its module uses; where that says too little a module marks itself. A
test that starts a process and is not marked fails, so ``-m "not real"`` is what it says.
"""

import functools
import sys
from types import ModuleType
from typing import Any, Final

import pytest

FIXTURES: Final = frozenset({"redis_server", "sidekiq"})
HELPERS: Final = frozenset({"doctoring", "roots", "ruby", "subprocess", "web", "workers"})  # modules
STARTS: Final = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty"})  # audit events

_watched: list[str] = []
"""What the test that runs now has started; it is watched only while it is pure."""
_watching: list[bool] = []


def real(item: pytest.Item) -> bool:
    """Whether it is marked, or uses what only real tests use."""
    if item.get_closest_marker("real") or FIXTURES.intersection(getattr(item, "fixturenames", ())):
        return True
    return _helped(getattr(item, "module", None) or sys)


@functools.cache
def _helped(module: ModuleType) -> bool:
    """Whether it holds a helper; asked once its tests are collected, for each of them."""
    return any(map(_helper, vars(module).values()))


def _helper(value: Any) -> bool:
    if isinstance(value, ModuleType):
        return value.__name__ in HELPERS
    return getattr(value, "__module__", "") in HELPERS or getattr(value, "__name__", "") == "RedisServer"


def watch() -> None:
    """Once a session, for an audit hook stays."""
    sys.addaudithook(_audit)


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in STARTS:
        _watched.append(f"{event} {str(arguments[:2])[:200]}")


def begin() -> None:
    """A pure test begins."""
    _watched.clear()
    _watching.append(True)


def end() -> list[str]:
    """What it started."""
    _watching.clear()
    return list(_watched)
