"""The embedded server: a real one, found in order, on loopback with a password, and gone however we end."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis as redis_py
from servers import eventually

from kiqdoctor import embedded

HOLD = """
import os, sys, time
from kiqdoctor.embedded import start
with start() as server:
    print(server.pid, server.url, flush=True)
    time.sleep(600)
"""


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_it_answers_with_its_password_only_and_says_what_it_is() -> None:
    with embedded.start() as server:
        with redis_py.Redis.from_url(server.url) as client:
            assert client.ping()
            assert client.config_get("bind")["bind"] == "127.0.0.1"
            assert client.config_get("save")["save"] == ""
        with pytest.raises(redis_py.AuthenticationError), redis_py.Redis(port=server.port) as stranger:
            stranger.ping()
        assert f"127.0.0.1:{server.port} pid {server.pid}" in server.line
        assert "gone at exit" in server.line
        assert server.url.split("@")[0][9:] not in server.line + Path(f"/proc/{server.pid}/cmdline").read_text()
        pid = server.pid

    eventually(lambda: not alive(pid))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_it_ends_with_us_however_we_end(number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    pid, url = process.stdout.readline().split()
    folder = Path(f"/proc/{pid}/cwd").readlink()
    assert alive(int(pid))

    process.send_signal(number)
    process.communicate()

    eventually(lambda: not alive(int(pid)))
    eventually(lambda: not folder.exists())
    with pytest.raises(redis_py.ConnectionError), redis_py.Redis.from_url(url) as client:
        client.ping()


def test_an_interrupted_thread_does_not_end_it() -> None:
    import threading

    found: list[int] = []

    def starter() -> None:
        context = embedded.start()
        server = context.__enter__()
        found.append(server.pid)
        contexts.append(context)

    contexts: list[object] = []
    thread = threading.Thread(target=starter)
    thread.start()
    thread.join()

    assert alive(found[0])  # PR_SET_PDEATHSIG would have ended it with its thread
    contexts[0].__exit__(None, None, None)  # type: ignore[attr-defined]


def test_a_named_binary_comes_first_and_must_be_a_program(tmp_path: Path) -> None:
    known = embedded.find(os.environ)
    named = tmp_path / "my-server"
    named.symlink_to(known.path)

    assert embedded.find({embedded.VARIABLE: str(named)}) == embedded.Binary(named, embedded.VARIABLE)
    with pytest.raises(embedded.EmbeddedError, match="not a program"):
        embedded.find({embedded.VARIABLE: str(tmp_path)})


def test_a_program_that_is_no_server_is_told(tmp_path: Path) -> None:
    with (
        pytest.raises(embedded.EmbeddedError, match="no Redis server"),
        embedded.start({embedded.VARIABLE: "/bin/echo"}),
    ):
        pass


def test_no_server_anywhere_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)

    with pytest.raises(embedded.EmbeddedError, match="pip install") as caught:
        embedded.find({"PATH": "/nowhere"})

    assert "\n" not in str(caught.value)
