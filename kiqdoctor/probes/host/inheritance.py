"""Connections that several processes have open, and children that workers forked: by descriptors and memory layouts."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from kiqdoctor.doctor.facts.host import ForkedChild, Holder, Inheritance, LocalProcesses, Owner, SharedSocket
from kiqdoctor.doctor.facts.redis import Client, Clients
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.snapshot import Missing
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.files import link, listed, read, undeleted
from kiqdoctor.probes.host.sockets import Row, established, held, listeners

MOST_PROCESSES: Final = 20_000
MOST_DESCRIPTORS: Final = 200_000
MOST_TRIED: Final = 16  # descriptors of one process, to see whether they may be followed
STACK: Final = 25  # the cell after the name, in /proc/PID/stat, of where the stack begins: exec draws another
CODE: Final = 23
BORN: Final = 19
ENDED: Final = frozenset("ZX")


class Life(NamedTuple):
    """Of /proc/PID/stat: the parent, the start in clock ticks since boot, and what an exec would have changed."""

    parent: int
    born: int
    image: tuple[str, str]


@probe(
    Read("/proc/*/stat", "", "one small read a process"),
    Read("/proc/*/fd", "same user or root", "one readlink a descriptor, 200,000 at most"),
    Read("/proc/PID/net/tcp, tcp6", "same user or root", "once a network namespace"),
    lane=Lane.HOST,
)
def inheritance(host: Host, local: LocalProcesses, clients: Clients | Missing) -> Inheritance:
    """Accepted connections, those of listening ports, are left out of what is shared: a server may hand them on."""
    proc = host.proc
    lives = dict(_lives(proc))
    now = _ticks(proc)
    holders, partial = _holders(proc, lives, now)
    waiting = {one.address: one for one in clients.all if one.blocked} if isinstance(clients, Clients) else {}
    spaces = Spaces(proc)
    kin = _kin({one.pid for one in local.all}, lives)
    return Inheritance(
        sockets=tuple(_shared(spaces, {inode: each for inode, each in holders.items() if len(each) > 1})),
        owners=tuple(_owners(spaces, holders, waiting)) if waiting else (),
        children=tuple(_children(proc, {one.pid for one in local.all}, lives, now)),
        hidden=tuple(sorted(pid for pid in kin if not _open(proc / str(pid) / "fd") and _runs(proc / str(pid)))),
        partial=partial,
    )


def _lives(proc: Path) -> Iterator[tuple[int, Life]]:
    for name in listed(proc)[:MOST_PROCESSES]:
        if name.isdigit():
            cells = (read(proc / name / "stat") or b"").rpartition(b")")[2].decode("ascii", "replace").split()
            if len(cells) > STACK:
                yield int(name), Life(int(cells[1]), int(cells[BORN]), (cells[CODE], cells[STACK]))


def _ticks(proc: Path) -> float:
    """Clock ticks since boot."""
    words = (read(proc / "uptime") or b"").split()
    return (float(words[0]) if words else time.clock_gettime(time.CLOCK_BOOTTIME)) * os.sysconf("SC_CLK_TCK")


def _age(life: Life, now: float) -> float:
    return max(0.0, (now - life.born) / os.sysconf("SC_CLK_TCK"))


def _kin(workers: set[int], lives: dict[int, Life]) -> set[int]:
    """Workers, their parents up to the first process, and all their descendants."""
    found = set(workers)
    for pid in workers:
        parent = lives[pid].parent if pid in lives else 0
        while parent > 1 and parent in lives and parent not in found:
            found.add(parent)
            parent = lives[parent].parent
    below = set(workers)
    while more := {pid for pid, life in lives.items() if life.parent in below} - below:
        below |= more
    return found | below


def _holders(proc: Path, lives: dict[int, Life], now: float) -> tuple[dict[str, list[Holder]], str]:
    """Who has each socket open, by inode."""
    found: dict[str, list[Holder]] = defaultdict(list)
    count, partial = 0, ""
    for pid, life in lives.items():
        folder = proc / str(pid)
        own = held(folder)
        count += len(own)
        if count > MOST_DESCRIPTORS:
            partial = f"descriptors of further processes were not read after {MOST_DESCRIPTORS}"
            break
        if own:
            program = undeleted(link(folder / "exe"))[0] or ""
            for inode, descriptor in own.items():
                found[inode].append(Holder(pid, descriptor, life.parent, program, _age(life, now)))
    return found, partial


def _open(descriptors: Path) -> bool:
    """Whether it may be seen what they are: their numbers may be listed by who may not follow them."""
    names = listed(descriptors)
    return any(link(descriptors / name) is not None for name in names[:MOST_TRIED])


def _runs(folder: Path) -> bool:
    """Who has ended meanwhile, or waits for its parent to reap it, has nothing open."""
    words = (read(folder / "stat") or b"").rpartition(b")")[2].decode("ascii", "replace").split()
    return bool(words) and words[0] not in ENDED


class Spaces:
    """The tables of connections of each network namespace, read once each."""

    def __init__(self, proc: Path) -> None:
        """Of this host's processes."""
        self._proc = proc
        self._of: dict[int, str] = {}
        self._tables: dict[str, tuple[dict[str, Row], dict[str, str]]] = {}

    def table(self, pid: int) -> tuple[dict[str, Row], dict[str, str]]:
        """Connections by inode, and ports by the inodes that listen on them, where this process runs."""
        folder = self._proc / str(pid)
        if pid not in self._of:
            self._of[pid] = link(folder / "ns/net") or ""
        space = self._of[pid]
        if space not in self._tables:
            rows = {one.inode: one for one in established(folder / "net")}
            self._tables[space] = (rows, listeners(folder / "net"))
        return self._tables[space]

    def pids(self, pid: int) -> tuple[int, ...]:
        """As which it is known in each pid namespace that it is in, outermost first."""
        for line in (read(self._proc / str(pid) / "status") or b"").decode("ascii", "replace").splitlines():
            if line.startswith("NSpid:"):
                return tuple(int(word) for word in line.split()[1:])
        return (pid,)


def _shared(spaces: Spaces, holders: dict[str, list[Holder]]) -> Iterator[SharedSocket]:
    for inode, each in holders.items():
        rows, ports = spaces.table(each[0].pid)
        row = rows.get(inode)
        if row is not None and row.local.rpartition(":")[2] not in ports.values():
            yield SharedSocket(row.local, row.remote, tuple(sorted(each, key=lambda one: -one.age_s)))


def _owners(spaces: Spaces, holders: dict[str, list[Holder]], waiting: dict[str, Client]) -> Iterator[Owner]:
    """One local port serves connections to several servers, so the port at the other end must fit too."""
    own: dict[int, list[str]] = defaultdict(list)
    for inode, each in holders.items():
        for one in each:
            own[one.pid].append(inode)
    for inode, each in holders.items():
        for one in each:
            rows, ports = spaces.table(one.pid)
            row = rows.get(inode)
            client = waiting.get(row.local) if row is not None else None
            if row is not None and client is not None and _leads(row, client):
                mine = own[one.pid]
                listens = tuple(ports[other] for other in mine if other in ports)
                others = any(other in rows and rows[other].remote != row.remote for other in mine)
                yield Owner(row.local, spaces.pids(one.pid), one.parent, one.program, one.age_s, listens, others)


def _leads(row: Row, client: Client) -> bool:
    port = client.server.rpartition(":")[2]
    return not port or row.remote.rpartition(":")[2] == port


def _children(proc: Path, workers: set[int], lives: dict[int, Life], now: float) -> Iterator[ForkedChild]:
    """The kernel shows where an image lies only to who may look into a process; to others it is nought."""
    for pid, life in lives.items():
        parent = lives.get(life.parent)
        if life.parent in workers and parent and parent.image == life.image and life.image[1] not in {"0", "1"}:
            yield ForkedChild(pid, life.parent, _age(life, now), _before(proc / str(life.parent) / "task", life.born))


def _before(tasks: Path, born: int) -> int:
    """Threads that started before."""
    found = 0
    for name in listed(tasks):
        cells = (read(tasks / name / "stat") or b"").rpartition(b")")[2].split()
        found += len(cells) > BORN and int(cells[BORN]) < born
    return found
