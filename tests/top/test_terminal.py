"""The live view on a terminal: a pty whose bytes are looked at, and tmux, against a real Redis and a real worker."""

import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from doctoring import SECRETS
from servers import RedisServer, eventually
from workers import Worker

from kiqdoctor.top.tabs import TABS

ENVIRON = {name: value for name, value in os.environ.items() if name not in SECRETS} | {
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
}
EVIL = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x1b]0;evil\x07\x1b]8;;http://evil.example/\x07link\x9b31m\x90q\x9c\u202e\u2066[/x][link=evil]\n\0"
ALLOWED = re.compile(
    rb"\x1b\[[0-9;:]*m"  # styles
    rb"|\x1b\[[0-9;]*[HJKABCD]"  # where to write: Textual's own
    rb"|\x1b\[\?[0-9;]+[hl]|\x1b\[\?[0-9;]*\$p|\x1b\[[<>=?]?[0-9;]*[ucqn]|\x1b[78=>]|\x1b\([B0]|\x1b_G[^\x1b]*\x1b\\|\x1b\[[0-9;]*[rt]"
    rb"|\x1b\]22;[a-z]*\x07"  # the pointer's shape: Textual's own
)


@contextmanager
def terminal(url: str, folder: Path, *words: str, size: tuple[int, int] = (120, 40)) -> Iterator["Screen"]:
    """`kiqdoctor top` on a pty of its own."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", size[1], size[0], 0, 0))
    command = [sys.executable, "-m", "kiqdoctor", "top", "--redis", url, "--isolated", *words]
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env=ENVIRON, cwd=folder, start_new_session=True
    )
    os.close(slave)
    screen = Screen(master, process)
    try:
        yield screen
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(master)


class Screen:
    """What the view wrote to its terminal."""

    def __init__(self, master: int, process: "subprocess.Popen[bytes]") -> None:
        self.master, self.process, self.written = master, process, b""

    def read(self, seconds: float = 0.2) -> bytes:
        """What it writes within this time."""
        found = b""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and select.select([self.master], [], [], left)[0]:
            try:
                found += os.read(self.master, 65_536)
            except OSError:
                break
        self.written += found
        return found

    def press(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def until(self, text: str) -> None:
        """Until this was written since the last call."""
        seen = [b""]

        def there() -> bool:
            seen[0] += self.read()
            return text.encode() in re.sub(rb"\x1b\[[0-9;:]*m", b"", seen[0])

        eventually(there, f"{text!r} on the screen")


def evil(redis: "redis_py.Redis") -> None:
    """Hostile text wherever there is text."""
    now = time.time()
    redis.sadd("queues", "mail" + EVIL)
    job: dict[str, Any] = {
        "class": "Job" + EVIL,
        "args": [EVIL, "x" * 1_000_000],
        "queue": "mail" + EVIL,
        "jid": "j" + EVIL,
    }
    job |= {"error_class": "E" + EVIL, "error_message": EVIL * 20, "tags": [EVIL], "retry": True, EVIL: EVIL}
    for number in range(3):
        raw = json.dumps(job | {"created_at": now, "enqueued_at": now, "n": number}, ensure_ascii=False)
        redis.lpush("queue:mail" + EVIL, raw)
        for place in ("retry", "schedule", "dead"):
            redis.zadd(place, {raw: now + number})
    identity = "host" + EVIL + ":1:2"
    info = {"hostname": "host" + EVIL, "pid": 1, "tag": EVIL, "labels": [EVIL], "queues": ["mail" + EVIL]}
    info |= {"identity": identity, "version": EVIL, "concurrency": 5, "started_at": now}
    work = json.dumps({"queue": EVIL, "payload": json.dumps({"class": EVIL, "jid": EVIL, "args": []}), "run_at": now})
    redis.sadd("processes", identity)
    redis.hset(identity, mapping={"info": json.dumps(info), "busy": 1, "beat": now, "quiet": "false"})
    redis.hset(f"{identity}:work", EVIL, work)
    redis.client_setname("name[/x]")
    redis.config_set("slowlog-log-slower-than", 0)
    redis.get("key" + EVIL)


@pytest.mark.long
def test_hostile_text_reaches_no_terminal(redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path) -> None:
    evil(redis)
    with terminal(redis_server.url, tmp_path, "--show-args") as screen:
        screen.until("Overview")
        for key in [*(tab.key for tab in TABS[1:]), TABS[0].key]:
            screen.press(key)
            screen.read(0.4)
            screen.press("\r")  # whatever it opens
            screen.read(0.3)
            screen.press("y\x1b")
            screen.read(0.2)
        screen.press("/" + "evil" + "\r")
        screen.read(0.5)
        assert screen.process.poll() is None
        screen.press("q")
        eventually(lambda: screen.read() is not None and screen.process.poll() is not None, "the end")
    redis.config_set("slowlog-log-slower-than", 10_000)
    rest = ALLOWED.sub(b"", screen.written)
    copied = re.findall(rb"\x1b\]52;c;[A-Za-z0-9+/=]*\x07", rest)  # y: what we copy, cleaned
    for one in copied:
        rest = rest.replace(one, b"")

    assert screen.process.returncode == 0
    assert b"ZXZpbA==" not in b"".join(copied)
    assert b"\x1b" not in rest, rest[max(rest.find(b"\x1b") - 80, 0) :][:200]
    assert not re.search("[\x00-\x07\x0b\x0c\x0e-\x1f\x80-\x9f\u202e\u2066]", rest.decode("utf-8", "replace"))


def test_without_colour_nothing_is_coloured(redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path) -> None:
    ENVIRON["NO_COLOR"] = "1"
    try:
        with terminal(redis_server.url, tmp_path) as screen:
            screen.until("Overview")
            screen.read(0.5)
    finally:
        del ENVIRON["NO_COLOR"]
    colours = set(re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", screen.written))

    assert colours
    assert all(len(set(rgb)) == 1 for rgb in colours), colours


def test_interrupting_it_leaves_the_terminal_as_it_was(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    with terminal(redis_server.url, tmp_path) as screen:
        screen.until("Overview")
        screen.press("\x03")
        eventually(lambda: screen.read() is not None and screen.process.poll() is not None, "the end")

    assert screen.process.returncode == 0
    assert b"\x1b[?1049l" in screen.written


def test_terminating_it_leaves_the_terminal_as_it_was(
    redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    with terminal(redis_server.url, tmp_path) as screen:
        screen.until("Overview")
        screen.process.terminate()
        eventually(lambda: screen.read() is not None and screen.process.poll() is not None, "the end")

    assert screen.process.returncode == 0
    assert b"\x1b[?1049l" in screen.written


APP = """
import time
from kiqdoctor import job

@job
def nap(seconds):
    time.sleep(seconds)
"""


def tmux(*words: str) -> str:
    ran = subprocess.run(["tmux", "-L", f"kiq{os.getpid()}", *words], capture_output=True, text=True, check=False)
    return ran.stdout


@pytest.mark.skipif(shutil.which("tmux") is None and "CI" not in os.environ, reason="tmux is not installed")
def test_a_worker_is_killed_while_one_looks_on_in_tmux(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    command = [sys.executable, "-m", "kiqdoctor", "top", "--redis", redis_server.url, "--isolated", "--examine", "1"]
    with Worker.start(APP, redis_server.url, "-c", "3", "--fetch", "basic") as worker:
        now = time.time()
        job = {
            "class": "app.nap",
            "args": [600],
            "queue": "default",
            "jid": "f" * 24,
            "created_at": now,
            "enqueued_at": now,
        }
        redis.lpush("queue:default", json.dumps(job))
        tmux("new-session", "-d", "-x", "150", "-y", "40", *command)
        try:
            eventually(lambda: "Overview" in tmux("capture-pane", "-p"), "the view")
            tmux("send-keys", "2")
            eventually(
                lambda: f":{worker.pid}:" in tmux("capture-pane", "-p") and "1/3" in tmux("capture-pane", "-p"),
                "the worker, busy",
            )
            tmux("send-keys", "4")
            eventually(lambda: "app.nap" in tmux("capture-pane", "-p"), "its job")
            tmux("send-keys", "t")

            def dumped() -> bool:
                shown = tmux("capture-pane", "-p")
                if "did not answer" in shown:
                    tmux("send-keys", "r")
                return "time.sleep(seconds)" in shown

            eventually(dumped, "its own dump")
            worker.kill()
            for key in redis.keys("*:*:*"):
                redis.persist(key)  # its record is gone a minute later, and looking may take as long
            tmux("send-keys", "8")

            def told() -> bool:
                tmux("send-keys", "r")  # on a machine that is slow an examination comes by itself but once a minute
                return "PRO008" in tmux("capture-pane", "-p")

            eventually(told, "its death, told by the doctor")
            tmux("send-keys", "2")
            eventually(lambda: " dead " in tmux("capture-pane", "-p"), "its mark")
            tmux("send-keys", "8")
            tmux("send-keys", "Enter")
            eventually(
                lambda: "HOW TO FIX" in tmux("capture-pane", "-p") or "do:" in tmux("capture-pane", "-p"), "the page"
            )
            tmux("send-keys", "Escape")
            redis_server.down()
            eventually(lambda: "REDIS AWAY" in tmux("capture-pane", "-p"), "the outage")
            redis_server.up()
            eventually(lambda: "LIVE" in tmux("capture-pane", "-p"), "the return")
            tmux("send-keys", "q")
            eventually(lambda: not tmux("list-sessions"), "the end")
        finally:
            tmux("kill-server")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "top needs a terminal; --plain prints lines"),
        (("--plain", "--serve"), "--serve and --plain exclude each other"),
        (("--replay", "."), "holds no recording"),
        (("--replay", "nowhere"), "does not exist"),
        (("--plain", "--redis", "http://x"), "not a Redis URL"),
        (("--plain", "--select", "NIL999"), "no check has the id"),
        (("--serve", "--listen", "nowhere"), "--listen: host:port or a port up to 65535 is needed"),
        (("--interval", "0"), "--interval"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], said: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kiqdoctor", "top", "--isolated", *words]
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=tmp_path, env=ENVIRON, check=False
    )

    assert ran.returncode == 2
    assert said in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1


def test_plain_prints_lines_and_ends(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    evil(redis)
    command = [sys.executable, "-m", "kiqdoctor", "top", "--plain", "--redis", redis_server.url, "--isolated"]
    ran = subprocess.run([*command, "--count", "2", "--interval", "0.2"], capture_output=True, env=ENVIRON, check=True)
    redis.config_set("slowlog-log-slower-than", 10_000)
    text = ran.stdout.decode()

    assert "only changes follow" in text
    assert "retries: 3" in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e\u2066]", text)
