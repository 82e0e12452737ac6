"""A named Redis that goes away while it is read, or data that a reader stumbles over, is never a healthy one."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import redis as redis_py
from doctoring import check, kiqdoctor
from servers import RedisServer
from states import beat, payload, push

LENGTHS = (1, 40, 90, 200, 1_000, 3_000, 5_000, 6_500, 7_000, 7_500)  # bytes of replies before the end
DIGITS = "9" * 5_000


@contextmanager
def cutting(port: int, after: int) -> Iterator[str]:
    """A middle box that lets through so many bytes of what the server says, on each connection, and hangs up."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=between, args=(client,), daemon=True).start()

    def between(client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", port)) as server:
            threading.Thread(target=forth, args=(client, server), daemon=True).start()
            left = after
            while left > 0 and (data := server.recv(min(left, 4_096))):
                left -= len(data)
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)

    def forth(client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(4_096):
                server.sendall(data)
        except OSError:
            return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        listener.close()


@pytest.fixture
def healthy(redis: "redis_py.Redis") -> "redis_py.Redis":
    beat(redis)
    push(redis)
    return redis


def test_the_twin_that_is_not_cut_off(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    with cutting(redis_server.port, 10**9) as url:
        assert check(url).status == 0


@pytest.mark.parametrize("after", LENGTHS)
def test_cut_off_after_so_many_bytes(healthy: "redis_py.Redis", redis_server: RedisServer, after: int) -> None:
    with cutting(redis_server.port, after) as url:
        found = check(url)
        said = kiqdoctor("gate", "--live", "--redis", url)

    assert found.status in {1, 3}
    assert found.outcome("RED001") != "pass"
    assert said.status in {1, 3}
    assert "healthy" not in said.out + said.err


def test_it_says_at_which_command(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    with cutting(redis_server.port, 7_000) as url:
        found = check(url)

    reason = found.result("RED001")["reason"]
    assert "went away while it was read: the server closed the connection (at " in reason


@pytest.mark.parametrize("field", ["enqueued_at", "created_at", "retry_count", "failed_at"])
def test_a_job_with_an_odd_number_hides_nothing(redis: "redis_py.Redis", redis_server: RedisServer, field: str) -> None:
    push(redis, count=5)  # and nobody to take them
    odd = json.loads(payload())
    redis.rpush("queue:default", json.dumps({**odd, field: "?"}).replace('"?"', "9" * 400))

    found = check(redis_server.url)

    assert found.status == 1
    assert found.severities("PRO001") == ["critical"]
    assert not [one for one in found.report["results"] if "crashed" in (one["reason"] or "")]


@pytest.mark.parametrize("field", ["busy", "rss", "rtt_us", "concurrency", "beat"])
def test_a_process_with_an_odd_number_hides_no_other(
    healthy: "redis_py.Redis", redis_server: RedisServer, field: str
) -> None:
    beat(healthy, "odd-host:9:0123456789ab")
    healthy.hset("odd-host:9:0123456789ab", field, DIGITS)

    found = check(redis_server.url)

    assert found.outcome("PRO001") == "pass"
    assert found.status == 0
    assert not [one for one in found.report["results"] if "crashed" in (one["reason"] or "")]


@pytest.mark.parametrize("field", ["started_at", "pid", "concurrency"])
def test_neither_does_an_odd_info(healthy: "redis_py.Redis", redis_server: RedisServer, field: str) -> None:
    beat(healthy, "odd-host:9:0123456789ab")
    info = {"hostname": "odd-host", "pid": 9, "started_at": time.time(), "queues": ["default"], "concurrency": 5}
    raw = json.dumps({**info, field: "?"}).replace('"?"', "9" * 400)
    healthy.hset("odd-host:9:0123456789ab", "info", raw)

    assert check(redis_server.url).outcome("PRO001") == "pass"


def test_one_reply_that_is_too_large_costs_its_own_fact_only(
    healthy: "redis_py.Redis", redis_server: RedisServer
) -> None:
    healthy.config_set("proto-max-bulk-len", 512 * 1024 * 1024)
    healthy.set(b"k" * (40 * 1024 * 1024), "a name of 40 MB")

    found = check(redis_server.url)

    assert found.outcome("PRO001") == "pass"
    assert found.outcome("NSP001") == "unknown"
    assert "announces 41943040 bytes" in found.result("NSP001")["reason"]
