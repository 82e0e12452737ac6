"""A real Redis that changes while it is looked at, or since it was recorded."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis as redis_py
from doctoring import Examination, check, kiqdoctor
from servers import RedisServer, eventually
from states import push
from trends import REMEMBERING, SAMPLING, written


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    return written({**SAMPLING, **REMEMBERING}, tmp_path / "pack")


@contextmanager
def growing(client: "redis_py.Redis") -> Iterator[None]:
    """A producer that nobody keeps up with."""
    done = threading.Event()

    def produce() -> None:
        while not done.wait(0.02):
            push(client, "mail", 5)

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def looked(server: RedisServer, pack: Path, *words: str) -> Examination:
    return check(server.url, "--checks", str(pack), "--select", "TRD", *words)


def test_a_queue_that_grows_between_samples(
    redis: "redis_py.Redis", redis_server: RedisServer, pack: Path, tmp_path: Path
) -> None:
    push(redis, "still", 3)
    with growing(redis):
        found = looked(redis_server, pack, "--for", "3", "--record", str(tmp_path / "grown.json"))

    assert [one["subject"] for one in found.result("TRD001")["findings"]] == ["queue:mail"]
    assert found.outcome("TRD002") == "pass"
    again = kiqdoctor("check", "--replay", str(tmp_path / "grown.json"), "--checks", str(pack), "--format", "json")
    assert again.result("TRD001")["findings"] == found.result("TRD001")["findings"]
    assert again.result("TRD001")["evidence"] == found.result("TRD001")["evidence"]


def test_its_twin_stands_still(redis: "redis_py.Redis", redis_server: RedisServer, pack: Path) -> None:
    push(redis, "still", 3)

    found = looked(redis_server, pack, "--for", "3").result("TRD001")

    assert found["outcome"] == "pass"
    [readings] = found["evidence"]
    assert int(readings["value"]) >= 2  # more where the machine has time for them
    assert float(readings["source"].removesuffix(" s")) >= 3.0


def test_a_recording_made_before_is_the_first_sample(
    redis: "redis_py.Redis", redis_server: RedisServer, pack: Path, tmp_path: Path
) -> None:
    before = str(tmp_path / "before.json")
    kiqdoctor("record", before, "--live", "--redis", redis_server.url, "--checks", str(pack))
    push(redis, "mail", 5)

    found = looked(redis_server, pack, "--for", "2", "--baseline-run", before)

    assert found.outcome("TRD003") == "pass"
    assert [one["subject"] for one in found.result("TRD001")["findings"]] == ["queue:mail"]


@contextmanager
def watched(server: RedisServer, pack: Path, window_s: int, readings: int) -> Iterator["subprocess.Popen[str]"]:
    """A doctor that samples a real Redis, once it has read the queues so often."""
    words = ["--live", "--redis", server.url, "--checks", str(pack), "--select", "TRD", "--for", str(window_s)]
    command = [sys.executable, "-m", "kiqdoctor", "check", *words, "--format", "json"]
    client = server.client()
    push(client, "still", 3)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        eventually(lambda: client.info("commandstats").get("cmdstat_llen", {}).get("calls", 0) >= readings)
        yield process
    finally:
        client.close()
        process.kill()
        process.communicate()


def test_a_redis_that_goes_away_within_the_window_proves_nothing(pack: Path) -> None:
    with RedisServer.start() as server, watched(server, pack, 16, 2) as doctor:
        server.down(signal.SIGKILL)
        out, err = doctor.communicate(timeout=240)

    results = json.loads(out)["results"]
    assert {one["outcome"] for one in results if one["check"] in {"TRD001", "TRD002"}} == {"unknown"}
    assert "Redis went away while it was read" in out
    assert err == ""


def test_sampling_may_be_interrupted(redis_server: RedisServer, redis: "redis_py.Redis", pack: Path) -> None:
    redis.config_resetstat()
    with watched(redis_server, pack, 600, 1) as doctor:
        doctor.send_signal(signal.SIGINT)
        out, err = doctor.communicate(timeout=120)

    assert doctor.returncode == 130
    assert "Traceback" not in out + err
