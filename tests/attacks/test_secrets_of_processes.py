"""What a worker holds (in its command, environment, variables and jobs) is told by no command that looks at it."""

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from doctoring import SECRETS
from servers import RedisServer, eventually, free_port
from workers import Worker

from kiqdoctor.probes.threads.running import running

pytestmark = pytest.mark.long

PASSWORD = "hunter2password"
TOKEN = "hunter2token"
APP = f"""
import os, threading, time
from kiqdoctor import job

SETTINGS = {{"api_key": "{TOKEN}-global"}}
LOCKS = {{"{TOKEN}-key": threading.Lock()}}

@job
def stuck(secret):
    token = "{TOKEN}-local"
    with LOCKS[secret]:
        threading.Thread(target=again, args=(secret,), name="again", daemon=True).start()
        time.sleep(600)

def again(secret):
    with LOCKS[secret]:
        pass
"""
SIGNALS = tuple(getattr(signal, f"SIG{name}") for name in ("HUP", "TTIN", "USR1", "QUIT", "TSTP", "INT"))
STOPPING = {signal.SIGTTIN, signal.SIGTSTP}  # what handles none of them


def ran(*words: str, before: Sequence[str] = ()) -> str:
    """All that a command says, on both streams."""
    environ = {name: value for name, value in os.environ.items() if name not in SECRETS}
    command = [*before, sys.executable, "-m", "kiqdoctor", *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    assert done.stdout or done.stderr
    return done.stdout + done.stderr


def test_no_look_at_a_worker_tells_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APP_LICENSE_KEY", f"{TOKEN}-environment")
    with RedisServer.start(password=PASSWORD) as server, Worker.start(APP, server.url, "-c", "2") as worker:
        payload = {"class": "app.stuck", "args": [f"{TOKEN}-key"], "jid": "a" * 24, "queue": "default", "retry": 0}
        with server.client() as client:
            client.lpush("queue:default", json.dumps({**payload, "created_at": 1.0, "enqueued_at": 1.0}))
        eventually(lambda: running(worker.pid, Path("/proc")), "the job runs")
        pid, away = str(worker.pid), f"redis://:{PASSWORD}@127.0.0.1:{free_port()}/0"
        nobody = ("setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace") if not os.geteuid() else ()
        looks = (("dump", pid), ("dump", pid, "--format", "json"), ("dump", pid, "--watch", "2", "--format", "json"))
        told = [ran(*words, "--redis", redis) for words in looks for redis in (server.url, away)]
        told += [ran("dump", pid, "--redis", server.url, "--watch", "2")]
        told += [ran("dump", pid, "--redis", server.url, before=nobody)]
        document, _ = json.JSONDecoder().raw_decode(told[2])
        (tmp_path / "dump").write_text(json.dumps(document))
        told += [ran("dump", "--compare", str(tmp_path / "dump"), str(tmp_path / "dump"))]
        os.kill(worker.pid, signal.SIGSTOP)
        told += [ran("dump", pid, "--redis", redis, "--format", form) for redis in (server.url, away)
                 for form in ("text", "json")]  # fmt: skip
        os.kill(worker.pid, signal.SIGCONT)
        told += [ran("check", "--live", "--deep", "--redis", server.url, "--format", form)
                 for form in ("text", "json")]  # fmt: skip
        logged = worker.log()

    assert "a" * 24 in told[0]
    for one in (*told, logged):
        assert PASSWORD not in one
        assert TOKEN not in one


@pytest.mark.parametrize("number", SIGNALS, ids=lambda one: one.name)
def test_serve_tells_none_whatever_signal_comes(number: signal.Signals) -> None:
    port = free_port()
    with RedisServer.start(password=PASSWORD) as server:
        words = ["serve", "--live", "--deep", "--redis", server.url, "--listen", str(port), "--interval", "1"]
        with subprocess.Popen(
            [sys.executable, "-m", "kiqdoctor", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as serving:
            try:
                shown = [eventually(lambda: page(port, "/status.json"))]
                serving.send_signal(number)
                if number in STOPPING:
                    serving.send_signal(signal.SIGCONT)
                shown += [page(port, name) for name in ("/livez", "/readyz", "/metrics", "/status.json", "/nothing")]
                serving.send_signal(signal.SIGTERM)
                said, _ = serving.communicate(timeout=120)
            finally:
                serving.kill()

    assert all(PASSWORD not in one for one in (*shown, said.decode()))


def page(port: int, name: str) -> str:
    with (
        suppress(OSError, http.client.HTTPException),
        closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection,
    ):
        connection.request("GET", name)
        return connection.getresponse().read().decode()
    return ""
