"""How fast jobs are that are not plain: ``python tests/benchmarks/kinds.py [KIND...]``.

One process with ten threads drains jobs of each kind, alternating with plain ones, on a fresh Redis each; counted from
outside, until the last one's end has been told. Ratios to the plain drains of the same round are what counts.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as conftest.py does for the tests
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from benchmarks.peers.tally import Tally
from servers import RedisServer

KINDS: Final = ("unique", "expiring", "failing", "status", "batch", "limited", "rate", "iterable", "async")
LONGEST: Final = 120.0  # seconds of one drain


def drained(kind: str, count: int, tree: Path) -> float:
    """Jobs a second, by the package in this tree."""
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as folder,
        tempfile.NamedTemporaryFile(prefix="bench-", dir="/dev/shm") as cells,
        RedisServer.start({"save": ""}) as server,
        server.client() as client,
        Path(folder, "log").open("wb") as log,
    ):
        tally = Tally.create(Path(cells.name))
        paths = f"{tree}:{Path(__file__).resolve().parents[1]}"
        told = {"PYTHONPATH": paths, "BENCH_REDIS_URL": server.url, "BENCH_TALLY": cells.name}
        module, environment = "benchmarks.peers.kinds", {**os.environ, **told}
        subprocess.run([sys.executable, "-m", module, kind, str(count)], env=environment, cwd=folder, check=True)
        words = [sys.executable, "-m", "kiqdoctor", "work", module, "-c", "10", "--redis", server.url]
        worker = subprocess.Popen(words, env=environment, cwd=folder, stderr=log)
        try:
            ended = _ended(tally, client, count)
        finally:
            worker.terminate()
            worker.wait(30)
        return (count - 1) / ((ended - tally.first) / 1e9)


def _ended(tally: Tally, client: Any, count: int) -> int:
    """When all had run and no private list held one any more, in ns."""
    until = time.monotonic() + LONGEST
    while tally.executed < count or _held(client):
        if time.monotonic() > until:
            raise TimeoutError(f"{tally.executed:,} of {count:,} jobs were run")
        time.sleep(0.005)
    if tally.executed != count:
        raise ValueError(f"{tally.executed:,} executions of {count:,} jobs")
    return time.monotonic_ns()


def _held(client: Any) -> bool:
    return any(True for _ in client.scan_iter("kiq:taken:*", count=1000))


def measured(kinds: Sequence[str], seconds: float, rounds: int, trees: Sequence[Path]) -> Iterator[str]:
    """Lines."""
    sizes: dict[tuple[str, Path], int] = {}
    for kind in ("plain", *kinds):
        for tree in trees:
            sizes[kind, tree] = int(max(1_000, drained(kind, 4_000, tree) * seconds))
    rates: dict[tuple[str, Path], list[float]] = {key: [] for key in sizes}
    for _ in range(rounds):
        for (kind, tree), size in sizes.items():
            rates[kind, tree].append(drained(kind, size, tree))
    for (kind, tree), found in rates.items():
        plain = rates["plain", tree]
        ratios = [one / other for one, other in zip(found, plain, strict=True)]
        rate, low, high = statistics.median(found), min(ratios), max(ratios)
        yield f"{kind:10}{rate:10,.0f}/s {statistics.median(ratios):6.3f} x plain ({low:.3f} to {high:.3f}) {tree.name}"


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("kinds", nargs="*", default=KINDS, metavar="KIND")
    parser.add_argument("--seconds", type=float, default=1.5, help="of one drain, about")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tree", type=Path, action="append", help="a checkout; several alternate", default=[])
    given = parser.parse_args()
    trees = given.tree or [Path(__file__).resolve().parents[2]]
    for line in measured(given.kinds, given.seconds, given.rounds, trees):
        print(line)


if __name__ == "__main__":
    main()
