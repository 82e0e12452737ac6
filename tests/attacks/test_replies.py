"""What a server sends is looked at before anything is allocated for it, and is waited for within one time."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from doctoring import check
from faults import lying
from hypothesis import given
from hypothesis import strategies as st
from servers import RedisServer
from sound import INFO, JOB, WORK

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.recording import Recording, dump
from kiqdoctor.doctor.report import Cost, Outcome, Target
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.living import LONGEST
from kiqdoctor.examining.reporting import examination
from kiqdoctor.probes.fleet.fleet import MOST_MEMBERS as MOST_PROCESSES
from kiqdoctor.probes.redis.server import MOST_LINES, clients
from kiqdoctor.replies import fits
from kiqdoctor.resp import MOST_BYTES, MOST_MEMBERS, Guard, OversizeError

VALUES = st.recursive(
    st.binary(max_size=30) | st.integers(-9, 9**9) | st.none() | st.just(b"x\r\n*2000000000\r\n$99999999999\r\n"),
    lambda inner: st.lists(inner, max_size=5),
    max_leaves=30,
)


def spelt(value: object) -> bytes:
    """RESP2."""
    if isinstance(value, bytes):
        return b"$%d\r\n%s\r\n" % (len(value), value)
    if isinstance(value, list):
        return b"*%d\r\n" % len(value) + b"".join(map(spelt, value))
    return b":%d\r\n" % value if isinstance(value, int) else b"$-1\r\n"


def fed(raw: bytes, step: int) -> None:
    guard = Guard()
    for start in range(0, len(raw), step):
        guard.admit(raw[start : start + step])


@given(st.lists(VALUES, min_size=1, max_size=6), st.integers(1, 40))
def test_what_an_honest_server_sends_passes_however_it_is_cut(values: list[object], step: int) -> None:
    fed(b"".join(map(spelt, values)), step)


@given(
    st.lists(VALUES, max_size=3),
    st.integers(1, 40),
    st.sampled_from([b"*", b"$", b"%", b"~", b">"]),
    st.integers(0, 30),
)
def test_what_announces_too_much_does_not(values: list[object], step: int, kind: bytes, digits: int) -> None:
    too_much = b"%s%d\r\n" % (kind, max(MOST_BYTES, MOST_MEMBERS) + 1 + 10**digits)

    with pytest.raises(OversizeError):
        fed(b"".join(map(spelt, values)) + too_much, step)


def test_neither_do_many_that_are_each_modest() -> None:
    with pytest.raises(OversizeError):
        fed(b"*9999\r\n" * 1_000, 7)


@contextmanager
def serving(first: bytes, then: bytes, pause: float) -> Iterator[str]:
    """A server that answers with these bytes, and goes on with others, one a ``pause``."""
    listener = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with connection:
            try:
                connection.recv(1_000)
                connection.sendall(first)
                while then and not over.wait(pause):
                    connection.sendall(then)
                over.wait(60)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
    finally:
        over.set()
        listener.close()


@pytest.mark.parametrize(
    ("first", "then", "pause"),
    [
        (b"*2000000000\r\n", b"", 1),
        (b"$9000000000\r\n", b"x" * 65_536, 0.0),
        (b"*1\r\n" * 100, b"*9999\r\n" * 100, 0.0),
        (b"+", b"a" * 65_536, 0.0),
        (b"+", b"a", 0.5),
    ],
    ids=["members", "bytes", "nested", "endless line", "a byte now and then"],
)
def test_the_examination_ends_and_says_so(first: bytes, then: bytes, pause: float) -> None:
    with serving(first, then, pause) as url:
        found = check(url)

    assert found.status == 3
    assert found.outcome("RED001") == "fail"


LIES = {
    "none": b"$-1\r\n", "a number": b":1\r\n", "a list": b"*0\r\n",
    "nested": b"*2\r\n*1\r\n$-1\r\n*3\r\n:1\r\n*-1\r\n$0\r\n\r\n",
    "text": b"+x\r\n", "a word of RESP3": b"#t\r\n", "bytes": b"$9000000000\r\n", "members": b"*2000000000\r\n",
}  # fmt: skip
TRUE = {
    *((name, "a number") for name in ("EXISTS", "DBSIZE", "LLEN", "ZCARD")),
    ("ZRANGE", "a list"), ("LRANGE", "a list"), ("GETRANGE", "text"),
}  # fmt: skip


def outcome(server: RedisServer, command: str, lie: bytes) -> tuple[int, Outcome]:
    """The exit status and RED001; nothing may have crashed."""
    with lying(server.port, command, lie) as url:
        report = examination(Asked(redis=url, live=True))
    assert [one.reason for one in report.results if "crashed" in (one.reason or "")] == []
    return report.exit_status, next(one.outcome for one in report.results if one.check.id == "RED001")


@pytest.fixture
def crowded(redis: Any, redis_server: RedisServer) -> RedisServer:
    redis.sadd("queues", "default")
    redis.rpush("queue:default", JOB)
    redis.zadd("retry", {JOB: 1.7e9})
    redis.sadd("processes", "h:7:aa")
    redis.hset("h:7:aa", mapping={"info": INFO, "busy": "1", "beat": "1700000000.1", "quiet": "false"})
    redis.hset("h:7:aa:work", "t1", WORK)
    redis.set("dear-leader", "h:7:aa")
    return redis_server


ASKED = ("EXISTS", "DBSIZE", "LLEN", "ZCARD", "GETRANGE", "HMGET", "SSCAN", "SCAN", "ZRANGE", "LRANGE", "TIME")


@pytest.mark.parametrize("command", ASKED)
def test_who_answers_as_no_redis_does_is_never_believed(crowded: RedisServer, command: str) -> None:
    for name, lie in LIES.items():
        if (command, name) not in TRUE:
            status, told = outcome(crowded, command, lie)
            assert status in {1, 3}, name
            assert told in {Outcome.UNKNOWN, Outcome.FAIL}, name


def test_the_healthy_twin_is_believed(crowded: RedisServer) -> None:
    assert outcome(crowded, "", b"")[1] is Outcome.PASS


@pytest.mark.parametrize("lines", [20_000, 20_001])
def test_a_list_of_clients_is_read_up_to_so_many(lines: int) -> None:
    """INFO may be refused, or lie: 100,000 lines took ten seconds, and 240 MiB in `top`."""
    listing: Any = Listing(b"id=7 addr=10.0.0.1:5 age=9 idle=1 cmd=brpop\n" * lines)
    if lines > MOST_LINES:
        with pytest.raises(RefusalError, match="20001 lines"):
            clients.read(redis=listing, server=Refused("INFO"))
    else:
        assert len(clients.read(redis=listing, server=Server({"connected_clients": "3"})).all) == lines


class Listing:
    """A Redis with so many clients."""

    client_id = 1

    def __init__(self, text: bytes) -> None:
        self._text = text

    def ask(self, *command: str) -> bytes:
        assert command == ("CLIENT", "LIST")
        return self._text


def test_the_largest_fleet_that_is_read_fits_a_recording_that_is_read_again() -> None:
    """Anybody's set of so many names is as many facts: the file must stay below what we ourselves read of one."""
    ghosts = [Process(f"{'web-' * 10}{number}:{number}:0123456789ab", exists=False) for number in range(1_000)]
    raw = dump(Recording(Snapshot.of(Fleet(tuple(ghosts), 1_000)), Target(None, None, None), 1.0, "0", Cost()))

    assert len(raw) / len(ghosts) * MOST_PROCESSES < LONGEST


@given(
    VALUES,
    st.sampled_from(["EXISTS", "MEMORY|USAGE", "GET", "HMGET", "MGET", "SMISMEMBER", "HGETALL", "TIME", "SSCAN", "X"]),
)
def test_any_reply_fits_or_does_not(value: object, name: str) -> None:
    fits(name, ("a", "b", "c"), value)
    assert fits(name, ("a",), Exception())
