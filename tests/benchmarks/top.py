"""What the live view costs: `python tests/benchmarks/top.py`. Not a test: it prints figures, and judges none.

On a pty of 160 x 45 cells, one refresh a second, against a Redis with 500 processes that beat every ten seconds and
10,000 rows in each list: CPU of one core by tab, round trips of a refresh, resident memory, and the time to the first
screen; beside each the same of a bare Textual app that shows a clock, the floor that nothing on Textual can pass.
"""

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

import redis as redis_py
from servers import RedisServer

PROCESSES, ROWS, BEAT, SECONDS, STARTS = 500, 10_000, 10.0, 20.0, 7
TABS = {"Overview": "1", "Processes": "2", "Busy": "4", "Retries": "5", "Doctor": "8", "Redis": "0"}
BARE = """
from datetime import datetime
from textual.app import App
from textual.widgets import Static
class Bare(App):
    def compose(self):
        yield Static("Overview", id="clock")
    def on_mount(self):
        self.set_interval(1, lambda: self.query_one("#clock").update(f"Overview {datetime.now()}"))
Bare().run()
"""


def main() -> None:
    with RedisServer.start() as server:
        fill(server)
        stop = threading.Event()
        beating = threading.Thread(target=beat, args=(server, stop), daemon=True)
        beating.start()
        ours = [sys.executable, "-m", "kiqdoctor", "top", "--isolated", "--redis", server.url]
        bare = [sys.executable, "-c", BARE]
        print(f"first screen: {first(ours) * 1000:.0f} ms; a bare Textual app {first(bare) * 1000:.0f} ms")
        with screen(bare) as (process, _):
            floor = cpu(process)
            print(f"bare Textual app, a clock: {floor:.1f} % of one core, {memory(process):.0f} MiB")
        for name, key in TABS.items():
            with screen(ours) as (process, master):
                os.write(master, key.encode())
                time.sleep(4)
                spent = cpu(process)
                print(f"{name:<10} {spent:5.1f} % of one core ({spent / floor:.1f}x bare), {memory(process):.0f} MiB")
        print(f"round trips of a refresh: {trips(server)}")
        stop.set()
        beating.join()


def fill(server: RedisServer) -> None:
    """Queues and sets of many jobs."""
    client = server.client()
    client.sadd("queues", "default")
    for start in range(0, ROWS, 1_000):
        jobs = [job(number) for number in range(start, start + 1_000)]
        client.lpush("queue:default", *jobs)
        for place in ("retry", "schedule", "dead"):
            client.zadd(place, {raw: time.time() + number for number, raw in enumerate(jobs)})
    client.close()


def job(number: int) -> str:
    fields = {"class": f"Job{number % 9}", "args": [number], "queue": "default", "jid": f"{number:024x}"}
    return json.dumps(fields | {"created_at": time.time(), "enqueued_at": time.time(), "error_class": "Boom"})


def beat(server: RedisServer, stop: threading.Event) -> None:
    """Each process once in BEAT seconds, spread over them."""
    client = server.client()
    number = 0
    while not stop.wait(BEAT / PROCESSES):
        once(client, number % PROCESSES)
        number += 1
    client.close()


def once(client: "redis_py.Redis", number: int) -> None:
    identity, now = f"web-{number}:{number}:{number:012x}", time.time()
    info = {"hostname": f"web-{number}", "pid": number, "started_at": now - 900, "tag": "shop", "concurrency": 10}
    info |= {"queues": ["default"], "labels": [], "identity": identity, "version": "7.3.9"}
    work: Any = {
        f"t{thread}": json.dumps({"queue": "default", "payload": job(thread), "run_at": now}) for thread in range(5)
    }
    with client.pipeline() as pipe:
        pipe.sadd("processes", identity)
        pipe.hset(identity, mapping={"info": json.dumps(info), "busy": 5, "beat": now, "quiet": "false", "rss": 90_000})
        pipe.expire(identity, 60)
        pipe.delete(f"{identity}:work")
        pipe.hset(f"{identity}:work", mapping=work)
        pipe.expire(f"{identity}:work", 60)
        pipe.execute()


@contextmanager
def screen(command: list[str]) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """The command on a pty whose output is read and dropped."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 45, 160, 0, 0))
    environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=environ, start_new_session=True)
    os.close(slave)
    seen = threading.Event()
    threading.Thread(target=drain, args=(master, seen), daemon=True).start()
    seen.wait(20)
    try:
        yield process, master
    finally:
        process.kill()
        process.wait()


def drain(master: int, seen: threading.Event) -> None:
    """Until it is closed; ``seen`` when the first tab's name was drawn."""
    found = b""
    while True:
        try:
            data = os.read(master, 65_536)
        except OSError:
            return
        found = (found + data)[-100_000:]
        if b"Overview" in found:
            seen.set()


def first(command: list[str]) -> float:
    """Seconds to the first screen, the median of some."""
    spent = []
    for _ in range(STARTS):
        began = time.monotonic()
        with screen(command):
            spent.append(time.monotonic() - began)
    return median(spent)


def cpu(process: "subprocess.Popen[bytes]") -> float:
    """Percent of one core over some seconds."""
    before = ticks(process)
    time.sleep(SECONDS)
    return (ticks(process) - before) / os.sysconf("SC_CLK_TCK") / SECONDS * 100


def ticks(process: "subprocess.Popen[bytes]") -> int:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def memory(process: "subprocess.Popen[bytes]") -> float:
    """Resident MiB."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS"))


def trips(server: RedisServer) -> int:
    """The most of ten refreshes with everything that is costly in them."""
    from kiqdoctor.connection import resolve_url
    from kiqdoctor.doctor.facts.live import Metrics, SlowLog
    from kiqdoctor.doctor.facts.redis import Clients
    from kiqdoctor.examining.asked import Asked
    from kiqdoctor.examining.living import Live

    source: Any = Live(Asked(live=True, redis=server.url), resolve_url(server.url, {}))
    found: list[int] = []
    for _ in range(10):
        found.append(source.look(frozenset({Clients, SlowLog, Metrics})).round_trips)
        time.sleep(1)
    source.close()
    return max(found)


if __name__ == "__main__":
    main()
