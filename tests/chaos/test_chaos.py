"""The short form of chaos.py, which says on its top what is asked; its seed and numbers are printed."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest
from ledger import Ledger, preamble
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor

pytestmark = pytest.mark.long

KILLS: Final = 16
LIMIT: Final = 400  # seconds for the plan, past which chaos.py ends it; where it hangs it shows its stacks and ends
QUEUES: Final = tuple(f"trickle{number}" for number in range(8))
SECONDS: Final = 25.0  # several counts of the private lists, which come every 5 s
APP: Final = "\n".join(
    f"@job(name='chaos.{queue}', queue={queue!r})\ndef {queue}():\n    with noted():\n        pass\n"
    for queue in QUEUES
)


def test_nothing_is_lost_and_no_repeat_is_unexplained() -> None:
    words = ["--kills", str(KILLS), "--workers", "2", "--limit", str(LIMIT)]
    command = [sys.executable, str(Path(__file__).with_name("chaos.py")), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    print(done.stdout)

    assert done.returncode == 0, done.stdout + done.stderr


def test_where_nothing_goes_wrong_nothing_runs_twice(redis: Any, redis_server: RedisServer, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    kiqdoctor.configure(redis=redis_server.url)
    jobs = [kiqdoctor.job(name=f"chaos.{queue}", queue=queue)(_nothing) for queue in QUEUES]
    jids = []
    with Worker.start(preamble(path) + APP, redis_server.url, *(word for queue in QUEUES for word in ("-q", queue))):
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            jids += [job.perform_async() for job in jobs]
            time.sleep(0.001)
        eventually(lambda: Ledger.read(path).ended >= set(jids))

    assert Ledger.read(path).repeated == {}


def _nothing() -> None: ...
