"""Processes that hang, each in a way of its own, and what `kiqdoctor dump` tells of them."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from doctoring import kiqdoctor
from interpreters import Interpreter, Space
from roots import Root
from servers import eventually, free_port
from workers import children

OURS: Final = Interpreter(sys.executable)
HEAD: Final = """
import ctypes, queue, re, socket, sys, threading, time

def start(*functions):
    for number, function in enumerate(functions):
        threading.Thread(target=function, name=f"{function.__name__}{number}", daemon=True).start()

def beat():
    while True:
        time.sleep(0.2)

A, B = threading.Lock(), threading.Lock()
"""
TAIL: Final = """
time.sleep(0.5)
print("ready", flush=True)
time.sleep(600)
"""

DEADLOCK = """
def one():
    with A:
        time.sleep(0.2)
        with B:
            pass

def two():
    with B:
        time.sleep(0.2)
        with A:
            pass

start(one, two, beat)
"""
INSTANCES = """
class Account:
    def __init__(self):
        self.lock = threading.Lock()

    def give(self, other):
        with self.lock:
            time.sleep(0.2)
            with other.lock:
                pass

left, right = Account(), Account()
def one(): left.give(right)
def two(): right.give(left)
start(one, two)
"""
INSTANCES_APART = INSTANCES.replace("right.give(left)", "right.give(Account())")
PILE = """
def hold():
    with A:
        time.sleep(600)

def wait():
    with A:
        pass

start(hold)
time.sleep(0.1)
start(*[wait] * 5, *[beat] * 2)
"""
IDLE = """
start(*[queue.Queue().get] * 6, *[threading.Event().wait] * 3, beat)
"""
SOCKET = """
server = socket.create_server(("127.0.0.1", 0))
def read():
    socket.create_connection(server.getsockname()).recv(1)
start(read, beat)
"""
SOCKET_TIMED = SOCKET.replace("server.getsockname())", "server.getsockname(), timeout=600)")
HOG = """
def job():
    time.sleep(0.6)
    re.match(r"(a+)+$", "a" * 40 + "b")
start(job, *[beat] * 3)
print("ready", flush=True)
"""
SHARED = """
def work():
    while True:
        sum(range(1000))
start(work, work, *[beat] * 3)
"""
NATIVE = """
def job():
    ctypes.CDLL(None).sleep(600)
start(job, beat)
"""
HELD_ASLEEP = """
def job():
    time.sleep(0.6)
    ctypes.PyDLL(None).sleep(600)
start(job, beat)
print("ready", flush=True)
"""


NOTHING_TO_DO = """
import multiprocessing, queue
tasks, condition, event = queue.SimpleQueue(), threading.Condition(), threading.Event()
tickets, shared, pair = threading.Semaphore(0), multiprocessing.Queue(), socket.socketpair()
def ticket():
    while True: tickets.acquire()
def baton():
    mine = threading.Lock()
    mine.acquire()
    mine.acquire()
def read():
    while True: shared.get()
def woken():
    while True: pair[0].recv(1)
start(*[ticket] * 4, *[baton] * 4, *[read] * 5, woken)
def take():
    while True: tasks.get()
def wait():
    with condition:
        condition.wait()
def look():
    while not event.wait(600): pass
start(take, take, take, take, wait, wait, wait, wait, look, look, look, look)
"""
SPINNING = """
def spin():
    while True: pass
start(spin, *[beat] * 3)
"""
RING = """
locks, all_there = [threading.Lock() for _ in range(3)], threading.Barrier(3)
def member(number):
    with locks[number]:
        all_there.wait()
        with locks[(number + 1) % 3]:
            pass
for number in range(3):
    threading.Thread(target=member, args=(number,), name=f"ring{number}", daemon=True).start()
start(beat)
"""

IMPORTS = """
import os, tempfile
sys.path.insert(0, tempfile.mkdtemp())
with open(os.path.join(sys.path[0], "slow_module.py"), "w") as file:
    file.write("import time; time.sleep(600)")
def first(): import slow_module
def second(): import slow_module
start(first)
time.sleep(0.3)
start(second, beat)
"""
POOL = """
sys.path.insert(0, "PLACE")
import redis
pool = redis.BlockingConnectionPool(host="127.0.0.1", port=PORT, max_connections=1, timeout=None)
taken = pool.get_connection()
def ask(): redis.Redis(connection_pool=pool).ping()
start(ask, ask)
"""
"""PLACE is where redis-py is, PORT that of a server."""


@contextmanager
def running(body: str, python: Interpreter = OURS) -> Iterator[int]:
    """The pid of a process that does this, once it does."""
    folder = python.place.folder("test-hanging-")
    words = python.place.command([python.program, "-c", HEAD + body + TAIL], folder)
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            pid = children(process.pid)[0] if isinstance(python.place, Space) else process.pid
            yield pid
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()
            shutil.rmtree(folder)


@contextmanager
def written(body: str, folder: Path, python: Interpreter = OURS) -> Iterator[int]:
    """The same from a file of that folder, whose source can be read, as it is older than the process."""
    file = folder / "app.py"
    file.write_text(HEAD + body + TAIL, encoding="utf-8")
    os.utime(file, (1_600_000_000, 1_600_000_000))
    named = python.place.inside(file) if isinstance(python.place, Root) else str(file)
    with running(f"\nimport runpy; runpy.run_path({named!r})", python) as pid:
        yield pid


def dumped(target: int | str, redis: str = "") -> dict[str, Any]:
    nobody = f"redis://127.0.0.1:{free_port()}/0"
    ran = kiqdoctor("dump", str(target), "--redis", redis or nobody, "--format", "json")
    found: dict[str, Any] = json.loads(ran.out) if ran.out else {}
    return {**found, "status": ran.status}


def told(pid: int, *kinds: str) -> dict[str, Any]:
    """A dump, once its threads are where they will hang: on a busy machine they may be on their way for long."""

    def found() -> dict[str, Any] | None:
        one = dumped(pid)
        return one if [each["kind"] for each in one.get("diagnosis", ())] == [*kinds] else None

    result: dict[str, Any] = eventually(found, f"a dump that tells of {kinds}")
    return result
