"""Promises that did not hold: what is encoded when, whose time decides, who confirms, how long an end may take."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from faults import Proxy
from ledger import Ledger, preamble
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor import sentinels
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.config import Settings, connect
from kiqdoctor.runtime.fetching.work import Home, Work
from kiqdoctor.runtime.heartbeat import Heartbeat, Member
from kiqdoctor.runtime.job import REGISTRY
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.runtime.periodic import PERIODIC, Clockwork
from kiqdoctor.runtime.sending import NotReplicatedError
from kiqdoctor.runtime.supervising.renewal import connected
from kiqdoctor.wire.codec import ArgumentError
from kiqdoctor.wire.keys import Keys

DAY = 24 * 3600.0


@pytest.fixture(autouse=True)
def configured(redis: Any, redis_server: RedisServer) -> Iterator[None]:
    kiqdoctor.configure(redis=redis_server.url)
    before, ticks = dict(REGISTRY), list(PERIODIC)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)
    PERIODIC[:] = ticks


def queued(redis: Any, queue: str = "default") -> list[dict[str, Any]]:
    return [json.loads(raw) for raw in reversed(redis.lrange(f"queue:{queue}", 0, -1))]


# -- at the call -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [kiqdoctor.pipelined, kiqdoctor.Batch])
def test_a_job_is_what_it_was_when_it_was_pushed(redis: Any, block: Any) -> None:
    note = kiqdoctor.job(name="Note")(lambda fields: None)
    fields: dict[str, Any] = {"deep": [0]}
    with block():
        for number in range(3):
            fields["deep"][0] = number
            note.perform_async(fields)
        fields["deep"][0] = float("nan")

    assert [job["args"] for job in queued(redis)] == [[{"deep": [number]}] for number in range(3)]


def test_what_has_no_json_form_is_refused_at_the_call(redis: Any) -> None:
    note = kiqdoctor.job(name="Note")(lambda value: None)
    with kiqdoctor.pipelined():
        with pytest.raises(ArgumentError):
            note.perform_async(float("nan"))
        note.perform_async(1.5)
    assert [job["args"] for job in queued(redis)] == [[1.5]]


def test_a_callback_expires_from_its_push_on(redis: Any, redis_server: RedisServer) -> None:
    step = kiqdoctor.job(name="Step", queue="steps")(lambda: None)
    late = kiqdoctor.job(name="Late", expires_in=2.5)(lambda batch: None)
    with kiqdoctor.Batch(on_complete=late):
        step.perform_async()
    time.sleep(1.1)
    with kiqdoctor.embed(concurrency=1, queues=["steps"]):
        [job] = eventually(lambda: queued(redis))
    assert job["expiry"] - job["enqueued_at"] == pytest.approx(2.5, abs=0.01)
    assert job["enqueued_at"] - job["created_at"] > 1


# -- who confirms ----------------------------------------------------------------------------------------------------


def test_a_push_that_no_replica_confirms_raises(redis: Any, redis_server: RedisServer) -> None:
    kiqdoctor.configure(redis=redis_server.url, wait_replicas=1)
    note = kiqdoctor.job(name="Note")(lambda: None)
    with pytest.raises(NotReplicatedError, match="0 of 1 replicas") as raised:
        note.perform_async()
    assert [job["jid"] for job in queued(redis)] == [raised.value.jid]


def test_the_healthy_twin_has_a_replica(redis_server: RedisServer) -> None:
    with RedisServer.start({"replicaof": f"127.0.0.1 {redis_server.port}"}) as replica, replica.client() as there:
        eventually(lambda: there.info("replication")["master_link_status"] == "up")
        kiqdoctor.configure(redis=redis_server.url, wait_replicas=1)
        note = kiqdoctor.job(name="Note")(lambda: None)

        def confirmed() -> str:
            with suppress(NotReplicatedError):  # a replica has a second, and a busy machine may not
                return note.perform_async()
            return ""

        jid = eventually(confirmed)
        assert jid in {json.loads(raw)["jid"] for raw in there.lrange("queue:default", 0, -1)}


# -- whose time ------------------------------------------------------------------------------------------------------


def clockwork(redis: Any, ahead: float = 0.0) -> Clockwork:
    """Of a host whose clock may be wrong."""
    import threading

    from kiqdoctor.clock import Clock

    return Clockwork(redis, Keys(), threading.Event(), Clock(now=lambda: time.time() + ahead))


def test_a_host_that_is_a_day_ahead_pushes_nothing_early(redis: Any) -> None:
    kiqdoctor.periodic("* * * * *")(kiqdoctor.job(name="Tick")(lambda: None))
    clockwork(redis, DAY).look()

    [stored] = redis.hvals("kiq:periodic")
    assert float(stored) <= time.time() + 1


def test_a_tick_that_a_wrong_clock_left_ahead_holds_up_nobody(redis: Any) -> None:
    kiqdoctor.periodic("* * * * *")(kiqdoctor.job(name="Tick")(lambda: None))

    def pushed() -> tuple[int, int] | None:
        redis.hset("kiq:periodic", PERIODIC[-1].name, repr(time.time() + DAY))
        minute = redis.time()[0] // 60
        found = clockwork(redis).look(), clockwork(redis).look()
        return found if redis.time()[0] // 60 == minute else None  # else the second pushed the next

    assert eventually(pushed) == (1, 0)


def test_a_tick_beyond_redis_time_is_refused(redis: Any) -> None:
    import threading

    kiqdoctor.periodic("* * * * *")(kiqdoctor.job(name="Tick")(lambda: None))
    assert Clockwork(redis, Keys(), threading.Event(), now=lambda: time.time() + DAY).look() == 0
    assert not redis.exists("kiq:periodic")


# -- how much, how long ----------------------------------------------------------------------------------------------


def test_beats_tell_a_payload_once(redis: Any) -> None:
    board = Board()
    seat = board.seat()
    seat.name = "thread"
    heart = Heartbeat(redis, Keys(), board, lambda: {"some": 1})
    who = Member("host:1:aa", Capsule("default", 1, (("default", 0),)), 0.0)

    def run(payload: bytes) -> None:
        work, since = Work(payload, Home("default")), time.clock_gettime(time.CLOCK_BOOTTIME)
        job = kiqdoctor.job(name="Job")(beat)
        seat.running = Running("Job", "a", "default", [], {}, since, work=work, began=since, job=job)

    def beat() -> int:
        before = int(redis.info("stats")["total_net_input_bytes"])
        heart.beat(who, quiet=False)
        return int(redis.info("stats")["total_net_input_bytes"]) - before

    large = b'{"jid":"a","class":"Job","args":["' + b"x" * 2_000_000 + b'"]}'
    run(large)
    assert beat() > 2_000_000
    assert beat() < 100_000
    assert json.loads(redis.hget("host:1:aa:work", "thread"))["payload"] == large.decode()
    redis.delete("host:1:aa:work", "host:1:aa:workers")
    beat()
    beat()  # what was lost is told again
    assert redis.hexists("host:1:aa:work", "thread")
    run(b'{"jid":"b"}')
    beat()
    assert json.loads(redis.hget("host:1:aa:workers", "thread"))["payload"] == '{"jid":"b"}'
    seat.running = None
    beat()
    assert not redis.exists("host:1:aa:work", "host:1:aa:workers")


@pytest.mark.parametrize("job", ["idle", "hold"])
def test_term_ends_in_time_though_redis_is_a_black_hole(
    redis: Any, redis_server: RedisServer, tmp_path: Path, job: str
) -> None:
    app = preamble(tmp_path / "ledger") + "@job(name='hole.hold')\ndef hold():\n    with noted(): time.sleep(300)\n"
    with Proxy.start(redis_server.port) as proxy, Worker.start(app, proxy.url, "-c", "2", "-t", "1") as worker:
        if job == "hold":
            kiqdoctor.job(name="hole.hold")(lambda: None).perform_async()
            eventually(lambda: Ledger.read(tmp_path / "ledger").executions == 1)
        os.kill(redis_server.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            assert worker.stop() == 0
            took = time.monotonic() - began
        finally:
            os.kill(redis_server.pid, signal.SIGCONT)
    print(f"ended after {took:.1f} s")  # its time-out, 1 s, and 5 s more are promised


# -- Sentinel's addresses --------------------------------------------------------------------------------------------


def test_an_address_of_sentinels_may_say_all_that_one_of_a_server_may() -> None:
    found = sentinels.read(
        "rediss+sentinel://us%40er:p%2Fw@one:1,[::1]:2,[fe80::2]/main/3?ssl_ca_certs=/ca.pem&sentinel_username=s"
        "&sentinel_password=q"
    )
    assert found.hosts == (("one", 1), ("::1", 2), ("fe80::2", 26379))
    assert (found.service, found.database, found.username, found.password) == ("main", 3, "us@er", "p/w")
    assert found.primary_url("h", 5) == "rediss://us%40er:p%2Fw@h:5/3?ssl_ca_certs=%2Fca.pem"
    assert found.sentinel_url("::1", 2) == "rediss://s:q@[::1]:2?ssl_ca_certs=%2Fca.pem"
    plain = sentinels.read("rediss+sentinel://h/main?sentinel_tls=false")
    assert plain.sentinel_url("h", 1) == "redis://h:1"


@pytest.mark.parametrize(
    "url", ["redis+sentinel://h/", "redis+sentinel:///main", "redis+sentinel://[::1/main", "redis+sentinel://h:x/m"]
)
def test_what_is_no_such_address_is_told_in_one_line(url: str) -> None:
    with pytest.raises(sentinels.SentinelError, match="not a Sentinel URL"):
        sentinels.read(url)


def test_worker_and_parent_find_the_same_primary(redis: Any, redis_server: RedisServer) -> None:
    with Sentinel() as port:
        Sentinel.primary = redis_server.port
        url = f"redis+sentinel://127.0.0.1:{port}/main/2"
        with connect(Settings(url), 1) as client:
            client.set("here", "yes")
        wire = connected(url)
        assert wire.exchange([("GET", "here")])[0] == [b"yes"]
        wire.close()


class Sentinel:
    """One that knows one primary; it says nothing else."""

    primary = 0

    def __enter__(self) -> int:
        import threading

        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        return int(self._listener.getsockname()[1])

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        import threading

        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while asked := connection.recv(65536).upper():
                for word in asked.split(b"*")[1:]:
                    if b"GET-MASTER" in word:
                        port = str(self.primary).encode()
                        connection.sendall(b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%s\r\n" % (len(port), port))
                    elif b"MASTERS" in word:
                        connection.sendall(_masters(self.primary))
                    else:
                        connection.sendall(b"+OK\r\n")


def _masters(port: int) -> bytes:
    words = ["name", "main", "ip", "127.0.0.1", "port", str(port), "flags", "master", "num-other-sentinels", "0"]
    bulks = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    return f"*1\r\n*{len(words)}\r\n{bulks}".encode()
