"""A worker in a container, whose paths, pid and host name are its own: the same words mean something else out here."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doctoring import check, kiqdoctor
from ruby import require
from servers import RedisServer, eventually
from states import payload
from workers import ended

pytestmark = [
    pytest.mark.ruby,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a container"),
]

CONTAINER = """
hostname box-7 && mount -t proc proc /proc && mount --bind "$1/own/etc" /etc/hostname &&
mount --bind "$1/own" "$1/app" && cd "$1/app/releases/1" && exec sidekiq -r ./app.rb -c 1
"""
APP = "require 'sidekiq'\n"
NAP = "class Nap\n  include Sidekiq::Worker\n  def perform(*) = sleep(600)\nend\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    """``app`` is this host's, with another release than ``own``, which the container has in its place."""
    made = Path(tempfile.mkdtemp(prefix="test-roots-"))
    for place in ("app", "own"):
        for release in ("1", "2"):
            (made / place / "releases" / release).mkdir(parents=True)
    (made / "own/releases/1/app.rb").write_text(APP)
    (made / "own/etc").write_text("box-7\n")
    yield made
    shutil.rmtree(made, ignore_errors=True)


def current(folder: Path, place: str, release: str) -> None:
    link = folder / place / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(folder / "app/releases" / release)


def child(pid: int) -> int:
    """The first process of the container, by its pid out here."""
    words = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()
    return int(words[0]) if words else 0


def test_what_a_container_calls_current_is_not_what_this_host_does(
    folder: Path, redis: Any, redis_server: RedisServer
) -> None:
    require(6)
    current(folder, "app", "2")
    current(folder, "own", "1")
    words = ["unshare", "--mount", "--propagation", "private", "--pid", "--uts", "--fork", "--kill-child"]
    with (folder / "log").open("wb") as log:
        outer = subprocess.Popen(
            [*words, "sh", "-c", CONTAINER, "container", str(folder)],
            stdout=log, stderr=log, env={**os.environ, "REDIS_URL": redis_server.url},
        )  # fmt: skip
    try:
        identity = eventually(lambda: next(iter(redis.smembers("processes")), b"").decode(), "its first beat")
        assert identity.startswith("box-7:1:")

        found = check(redis_server.url, "--select", "PRO001,PRO003,PRO004")
        assert [found.outcome(one) for one in ("PRO001", "PRO003", "PRO004")] == ["pass"] * 3, found

        current(folder, "own", "2")
        found = check(redis_server.url, "--select", "PRO003")
        assert found.severities("PRO003") == ["high"]
        assert identity in json.dumps(found.result("PRO003")) or "box-7" in json.dumps(found.result("PRO003"))

        looked = kiqdoctor("dump", identity, "--redis", redis_server.url, "--format", "json")
        assert looked.status == 0, looked.err
        assert json.loads(looked.out)["source"] == "ttin"
    finally:
        inner = child(outer.pid)
        outer.kill()
        outer.wait()
        if inner:
            eventually(lambda: ended(inner), "the container ended with its parent")


def test_a_doctor_in_a_container_of_the_same_host_name_takes_nobody_for_dead(
    redis: Any, redis_server: RedisServer
) -> None:
    """As in a pod, or beside the host's network: the name is shared, the numbers are not."""
    sidekiq = require(6)
    words = [sys.executable, "-m", "kiqdoctor", "check", "--live", "--redis", redis_server.url, "--format", "json"]
    words += ["--select", "PRO002,PRO008"]
    with sidekiq.start(NAP, redis_server.url, concurrency=1) as worker:
        redis.lpush("queue:default", payload("Nap"))
        eventually(lambda: redis.hlen(f"{worker.identity}:{sidekiq.work}") == 1, "a job in flight")
        done = subprocess.run(
            ["unshare", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", *words],
            capture_output=True, check=False, timeout=120, cwd=Path(__file__).parent,
        )  # fmt: skip

    found = {one["check"]: one["outcome"] for one in json.loads(done.stdout)["results"]}
    assert found == {"PRO002": "pass", "PRO008": "pass"}
