"""The shared libraries that this host's workers have mapped."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.host import Libraries, LocalProcesses, Mapped
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.files import DELETED, read

LARGEST: Final = 8 * 1024 * 1024  # bytes of one maps file: some 80,000 mappings
MOST_WORKERS: Final = 50  # of one host


@probe(Read("/proc/PID/maps", "same user or root", "one file a worker, 50 workers at most"), lane=Lane.HOST)
def libraries(host: Host, local: LocalProcesses) -> Libraries:
    """By their paths as the worker sees them, each file once."""
    found: list[tuple[int, tuple[Mapped, ...]]] = []
    unread = [one.pid for one in local.all[MOST_WORKERS:]]
    for worker in local.all[:MOST_WORKERS]:
        raw = read(host.proc / str(worker.pid) / "maps", LARGEST)
        if raw:
            found.append((worker.pid, tuple({one.path: one for one in _mapped(raw)}.values())))
        else:
            unread.append(worker.pid)
    return Libraries(tuple(found), tuple(unread))


def _mapped(raw: bytes) -> Iterator[Mapped]:
    for line in raw.decode("utf-8", "backslashreplace").splitlines():
        cells = line.split(None, 5)
        if len(cells) > 5 and cells[5].startswith("/") and ".so" in cells[5]:  # noqa: PLR2004 - the path is the sixth
            yield Mapped(cells[5].removesuffix(DELETED), f"{cells[3]} {cells[4]}")
