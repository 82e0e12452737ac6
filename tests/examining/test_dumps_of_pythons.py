"""`kiqdoctor dump` of each way to hang, and of sound processes, on other Pythons, in a root and in a namespace."""

import os
import shutil
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

import interpreters
import pytest
import redis
from hanging import (
    DEADLOCK,
    HELD_ASLEEP,
    IMPORTS,
    INSTANCES_APART,
    NATIVE,
    NOTHING_TO_DO,
    PILE,
    POOL,
    SHARED,
    SOCKET,
    dumped,
    written,
)
from interpreters import Interpreter, Space
from roots import Root
from servers import RedisServer, eventually

from kiqdoctor.probes.threads.tasks import state

pytestmark = pytest.mark.real

BESIDE: Final = 4  # processes that are looked at at once
HANGING: Final = {
    "deadlock": DEADLOCK,
    "pile-up": PILE,
    "gil-hog": HELD_ASLEEP,
    "native-block": NATIVE,
    "socket-wait": SOCKET,
    "import-lock": IMPORTS,
    "pool-exhausted": POOL,
    "stopped": NOTHING_TO_DO,
}
SOUND: Final = {"nothing to do": NOTHING_TO_DO, "instances apart": INSTANCES_APART, "shared": SHARED}


@pytest.fixture(params=["3.12", pytest.param("3.13", marks=pytest.mark.long), interpreters.SUITE, interpreters.SPACE])
def python(request: pytest.FixtureRequest) -> Interpreter:
    return interpreters.require(request.param)


@pytest.fixture
def folder(python: Interpreter) -> Iterator[Path]:
    made = python.place.folder("test-pythons-")
    yield made
    shutil.rmtree(made)


def bodies(python: Interpreter, folder: Path, port: int) -> dict[str, str]:
    """redis-py is put where that Python finds it, and nothing else of ours."""
    site = folder / "site"
    shutil.copytree(Path(redis.__file__).parent, site / "redis")
    place = python.place.inside(site) if isinstance(python.place, Root) else str(site)
    return {
        name: body.replace("PLACE", place).replace("PORT", str(port)) for name, body in {**HANGING, **SOUND}.items()
    }


def kinds(pid: int) -> list[str]:
    return [one["kind"] for one in dumped(pid).get("diagnosis", [{"kind": "not read"}])]


def settled(pid: int, wanted: list[str]) -> list[str]:
    """What is wrong, once its threads are where they hang; of one that is sound, once it could be read."""
    seen: list[str] = []

    def there() -> bool:
        seen[:] = kinds(pid)
        return seen == wanted or (not wanted and seen != ["not read"])

    with suppress(AssertionError):
        eventually(there)
    return seen


def test_each_way_to_hang(python: Interpreter, folder: Path, redis_server: RedisServer) -> None:
    wanted = {**{name: [name] for name in HANGING}, **{name: [] for name in SOUND}}
    if isinstance(python.place, Space):
        wanted["native-block"] = []  # which is said
    with ExitStack() as stack, ThreadPoolExecutor(BESIDE) as pool:
        pids: dict[str, int] = {}
        for name, body in bodies(python, folder, redis_server.port).items():
            home = folder / name.replace(" ", "-")
            home.mkdir()
            pids[name] = stack.enter_context(written(body, home, python))
        os.kill(pids["stopped"], signal.SIGSTOP)
        found = dict(zip(pids, pool.map(lambda name: settled(pids[name], wanted[name]), pids), strict=True))
        stopped = state(pids["stopped"], Path("/proc"))

        native = dumped(pids["native-block"])

    assert found == wanted
    assert ("native library" in native["note"]) == isinstance(python.place, Space)
    assert stopped == "stopped", "it is as it was"
