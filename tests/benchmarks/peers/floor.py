"""The floor: the least that a reliable worker in one Python process can do, and so the best that any could.

No retries, heartbeat, log, middleware, recovery. Ten threads pop jobs from one deque; what is fetched lies in a private
list until its acknowledgement travels with a later fetch. ``simple``: one connection, asked by whoever finds the deque
empty. Without it: two connections, odd and even threads, each asked early, by a thread that found the deque low and did
not have to wait for the lock; so Redis and Python work at the same time.
"""

import sys
import threading
import time
from collections import deque
from hashlib import sha1
from os import urandom
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection
from typing import Any, Final
from urllib.parse import urlsplit

import hiredis
import msgspec
from benchmarks.peers.work import JOBS, URL

THREADS: Final = 10
BATCH: Final = 100  # jobs in one fetch
LOW: Final = 100  # left in the deque when the next fetch is sent
QUEUE: Final = b"queue:default"
PRIVATE: Final = b"floor:private"
BLOCK: Final = b"1"  # seconds for which an idle connection waits
SCRIPT: Final = b"""\
for at = 2, #ARGV do redis.call('LREM', KEYS[2], -1, ARGV[at]) end
local jobs = redis.call('RPOP', KEYS[1], ARGV[1])
if jobs then redis.call('LPUSH', KEYS[2], unpack(jobs)) end
return jobs
"""

_decode = msgspec.json.Decoder().decode


class Line:
    """One raw connection; RESP packed by hand, parsed by hiredis."""

    def __init__(self) -> None:
        where = urlsplit(URL)
        self._socket = create_connection((where.hostname or "127.0.0.1", where.port or 6379))
        self._socket.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        self._reader = hiredis.Reader()
        self.lock = threading.Lock()
        self.ended: deque[bytes] = deque()

    def ask(self, *words: bytes) -> Any:
        """Send a command and wait for its reply."""
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%b\r\n" % (len(word), word) for word in words]
        self._socket.sendall(b"".join(parts))
        while (reply := self._reader.gets()) is False:
            self._reader.feed(self._socket.recv(65_536))
        if isinstance(reply, Exception):
            raise reply
        return reply


class Worker:
    """Threads around one deque, in groups that share a connection."""

    def __init__(self, lines: int, *, early: bool) -> None:
        self._lines = [Line() for _ in range(lines)]
        self._early = early
        self._local: deque[bytes] = deque()
        self._digest = sha1(SCRIPT, usedforsecurity=False).hexdigest().encode()
        self._lines[0].ask(b"SCRIPT", b"LOAD", SCRIPT)

    def run(self) -> None:
        """For ever."""
        count = len(self._lines)
        threads = [threading.Thread(target=self._work, args=[self._lines[n % count]]) for n in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self, line: Line) -> None:
        local, lock, ended, jobs = self._local, line.lock, line.ended, JOBS
        low = LOW if self._early else -1
        while True:
            try:
                raw = local.popleft()
            except IndexError:
                with lock:
                    if not local:
                        self._fetch(line, wait=True)
                continue
            job = _decode(raw)
            jobs[job["class"]](*job["args"])
            ended.append(raw)
            if len(local) <= low and lock.acquire(blocking=False):
                try:
                    self._fetch(line, wait=False)
                finally:
                    lock.release()

    def _fetch(self, line: Line, *, wait: bool) -> None:
        ended = [line.ended.popleft() for _ in range(len(line.ended))]
        taken = line.ask(b"EVALSHA", self._digest, b"2", QUEUE, PRIVATE, b"%d" % BATCH, *ended)
        if taken:
            self._local.extend(taken)
        elif wait:
            job = line.ask(b"BLMOVE", QUEUE, PRIVATE, b"RIGHT", b"LEFT", BLOCK)
            if job:
                self._local.append(job)


def _payload(name: str, args: tuple[Any, ...]) -> bytes:
    now = time.time()
    fields = {"retry": True, "queue": "default", "class": name, "args": args, "jid": urandom(12).hex()}
    return msgspec.json.encode({**fields, "created_at": now, "enqueued_at": now})


if __name__ == "__main__":
    if sys.argv[1] == "work":
        simple = sys.argv[2:] == ["simple"]
        Worker(1 if simple else 2, early=not simple).run()
    else:
        from benchmarks.peers.driving import Client, main

        producer = Line()
        main(
            Client(
                lambda name, args: producer.ask(b"LPUSH", QUEUE, _payload(name, args)),
                lambda name, many: producer.ask(b"LPUSH", QUEUE, *[_payload(name, args) for args in many]),
            )
        )
