"""Requests per second of ``kiqdoctor serve``, printed: ``python tests/benchmarks/serve.py [SECONDS]``.

The server is a process of its own that examines an embedded Redis again each second meanwhile; four callers ask one
page at a time, each over a connection of its own, as probes and scrapers do. Goal: 200 requests a second on two cores.
"""

import http.client
import re
import subprocess
import sys
import threading
import time
from typing import Final

from kiqdoctor.embedded import start

CALLERS: Final = 4
SECONDS: Final = 3.0
GOAL: Final = 200.0  # requests a second
PAGES: Final = ("/livez", "/readyz", "/metrics", "/status.json")


def ask(address: str, path: str) -> int:
    """The status of one request."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        reply.read()
        return reply.status
    finally:
        connection.close()


def measured(address: str, path: str, seconds: float) -> tuple[float, float, int]:
    """Requests a second, the 99th percentile in ms, and how many were not answered with 200."""
    took: list[float] = []
    failed: list[int] = []
    end = time.perf_counter() + seconds

    def call() -> None:
        while time.perf_counter() < end:
            began = time.perf_counter()
            try:
                status = ask(address, path)
            except OSError:
                status = 0
            took.append(time.perf_counter() - began)
            if status != http.HTTPStatus.OK:
                failed.append(status)

    began = time.perf_counter()
    callers = [threading.Thread(target=call) for _ in range(CALLERS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    elapsed = time.perf_counter() - began
    return len(took) / elapsed, sorted(took)[int(len(took) * 0.99)] * 1000, len(failed)


def main() -> None:
    """Print each page's figures against the goal."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with start() as redis:
        words = ("serve", "--isolated", "--listen", "0", "--redis", redis.url, "--live", "--interval", "1")
        command = [sys.executable, "-m", "kiqdoctor", *words]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
            assert server.stderr is not None
            found = re.search(r"http://(\S+?);", server.stderr.readline())
            assert found
            while ask(found[1], "/readyz") != http.HTTPStatus.OK:
                time.sleep(0.1)
            for path in PAGES:
                rate, slow_ms, failed = measured(found[1], path, seconds)
                verdict = "met" if rate >= GOAL and not failed else "MISSED"
                figures = f"{rate:8.0f} requests/s   99 % within {slow_ms:6.1f} ms   {failed} not 200"
                print(f"{path:<14} {figures}   goal {GOAL:.0f}/s   {verdict}")
            server.terminate()


if __name__ == "__main__":
    main()
