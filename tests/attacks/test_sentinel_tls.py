"""A worker by an address of sentinels with everything in it: TLS to both, users on both, IPv6, a database."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pytest
import roots
from acl import COMMANDS, KEYS
from ledger import Ledger, preamble
from servers import RedisServer, eventually, free_port
from workers import Worker

import kiqdoctor

APP: Final = """
@job(name="secured.note")
def note_it():
    with noted():
        pass
"""
CERTIFICATES: Final = (
    "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj /CN=a -addext keyUsage=keyCertSign",
    "req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=server",
    "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile more",
)
BY_TLS: Final = {
    "tls-cert-file": "server.crt",
    "tls-key-file": "server.key",
    "tls-ca-cert-file": "ca.crt",
    "tls-auth-clients": "no",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    if shutil.which("openssl") is None:
        roots.absent("no openssl to make certificates with")
    (tmp_path / "more").write_text("subjectAltName=IP:127.0.0.1,IP:::1\nauthorityKeyIdentifier=keyid\n")
    for words in CERTIFICATES:
        subprocess.run(["openssl", *words.split(" ")], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


def primary(folder: Path, port: int) -> AbstractContextManager[RedisServer]:
    settings = {"tls-port": str(port), "bind": "127.0.0.1 ::1", **BY_TLS}
    return RedisServer.start(
        {name: str(folder / word) if name.endswith("-file") else word for name, word in settings.items()}
    )


@contextmanager
def sentinel(folder: Path, port: int, of: int, program: str) -> Iterator[None]:
    lines = [
        "port 0", f"tls-port {port}", "bind ::1", "tls-replication yes", "user default off",
        "user asker on >a/s@k ~* &* +@all", f"sentinel monitor main ::1 {of} 1",
        "sentinel auth-user main watcher", "sentinel auth-pass main seen", *(f"{a} {b}" for a, b in BY_TLS.items()),
    ]  # fmt: skip
    (folder / "sentinel.conf").write_text("\n".join(lines) + "\n")
    with (folder / "sentinel.log").open("wb") as log:
        process = subprocess.Popen([program, "sentinel.conf", "--sentinel"], cwd=folder, stdout=log, stderr=log)
    try:
        eventually(lambda: "+monitor master main" in (folder / "sentinel.log").read_text(), "the sentinel")
        yield
    finally:
        process.terminate()
        process.wait(60)


def test_a_worker_runs_and_its_parent_renews_by_tls_users_and_ipv6(folder: Path, tmp_path: Path) -> None:
    of, port = free_port(), free_port()
    with primary(folder, of) as server, server.client() as admin:
        admin.acl_setuser(
            "watcher", enabled=True, passwords=["+seen"], keys=["*"], channels=["*"], categories=["+@all"]
        )
        admin.acl_setuser("work:er", enabled=True, passwords=["+s@c/ret"], keys=list(KEYS), commands=list(COMMANDS))
        options = f"ssl_ca_certs={quote(str(folder / 'ca.crt'))}&sentinel_username=asker&sentinel_password=a%2Fs%40k"
        url = f"rediss+sentinel://work%3Aer:s%40c%2Fret@[::1]:{free_port()},[::1]:{port}/main/2?{options}"
        with sentinel(folder, port, of, server.program.path):
            kiqdoctor.configure(redis=url)
            worker = Worker(preamble(tmp_path / "ledger") + APP, url)
            try:
                start(worker)
                note = kiqdoctor.job(name="secured.note")(lambda: None)
                jid = note.perform_async()
                eventually(lambda: jid in Ledger.read(tmp_path / "ledger").ended, worker.log())
                [lease] = leases(server)
                eventually(lambda: ttl(server, lease) < 14_000, "some time goes by")
                eventually(lambda: ttl(server, lease) > 14_000, "renewed by the parent")
                assert "WARN" not in worker.log(), worker.log()
                assert worker.stop() == 0, worker.log()
            finally:
                worker.kill()
            assert "NOPERM" not in worker.log(), worker.log()  # a connection that ended may be told, and tried again
            assert admin.acl_log() == []


def start(worker: Worker) -> None:
    """As ``Worker.up`` does it where a URL of one server says where its record is."""
    (worker.folder / "app.py").write_text(worker.app)
    words = [sys.executable, "-m", "kiqdoctor", "work", "app", "--redis", worker.url]
    with (worker.folder / "log").open("ab") as log:
        worker.process = subprocess.Popen(words, stdout=log, stderr=log, cwd=worker.folder, env=dict(os.environ))
    eventually(lambda: "runs 5 threads" in worker.log(), "the worker")


def leases(server: RedisServer) -> list[bytes]:
    with server.client(db=2) as client:
        return list(client.keys("kiq:lease:*"))


def ttl(server: RedisServer, key: bytes) -> int:
    with server.client(db=2) as client:
        return int(client.pttl(key))
