"""A worker within a program that ends without leaving the block, as servers do that are told to stop."""

import os
import subprocess
import sys
from typing import Any

import pytest
from servers import RedisServer

APP = """
import sys, threading, time
import kiqdoctor

begun = threading.Semaphore(0)

@kiqdoctor.job(name="embedded.note")
def note(seconds):
    begun.release()
    time.sleep(seconds)
    print("ran", flush=True)

for seconds in {jobs}:
    note.perform_async(seconds)
worker = kiqdoctor.embed(concurrency=2, timeout={timeout})
worker.__enter__()
for _ in {jobs}:
    begun.acquire()
{end}
"""


@pytest.mark.parametrize("end", ["", "sys.exit(3)", "raise ValueError"])
def test_a_program_that_never_leaves_the_block_ends_all_the_same(
    redis: Any, redis_server: RedisServer, end: str
) -> None:
    """What runs may end, and nothing of it is left in Redis."""
    code = APP.format(jobs="(0, 1)", timeout=10, end=end)
    ran = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "REDIS_URL": redis_server.url}, capture_output=True, text=True,
        check=False, timeout=120,
    )  # fmt: skip
    assert ran.returncode == {"": 0, "sys.exit(3)": 3}.get(end, 1), ran.stderr
    assert ran.stdout.count("ran") == 2
    assert not redis.smembers("processes")
    assert not redis.keys("kiq:taken:*") + redis.keys("kiq:lease:*") + redis.keys("kiq:index")


def test_a_job_that_still_runs_then_is_found_in_its_list(redis: Any, redis_server: RedisServer) -> None:
    code = APP.format(jobs="(60,)", timeout=0.2, end="")
    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "REDIS_URL": redis_server.url}, check=True, timeout=120
    )
    [taken] = redis.keys("kiq:taken:*")
    assert redis.llen(taken) == 1
    assert redis.hlen("kiq:index") == 1
