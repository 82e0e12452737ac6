"""Connections that several processes have open, and children that workers forked: by descriptors and memory layouts."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from kiqdoctor.doctor.facts.host import ForkedChild, Holder, Inheritance, LocalProcesses, SharedSocket
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.files import link, listed, read, undeleted
from kiqdoctor.probes.host.sockets import Row, established, held, listening

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
def inheritance(host: Host, local: LocalProcesses) -> Inheritance:
    """Accepted connections, those of listening ports, are left out: a server may hand them on."""
    proc = host.proc
    lives = dict(_lives(proc))
    now = _ticks(proc)
    holders, partial = _holders(proc, lives, now)
    kin = _kin({one.pid for one in local.all}, lives)
    return Inheritance(
        sockets=tuple(_shared(proc, holders)),
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
    """Who has each socket open, by inode; only those that several have."""
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
    return {inode: each for inode, each in found.items() if len(each) > 1}, partial


def _open(descriptors: Path) -> bool:
    """Whether it may be seen what they are: their numbers may be listed by who may not follow them."""
    names = listed(descriptors)
    return any(link(descriptors / name) is not None for name in names[:MOST_TRIED])


def _runs(folder: Path) -> bool:
    """Who has ended meanwhile, or waits for its parent to reap it, has nothing open."""
    words = (read(folder / "stat") or b"").rpartition(b")")[2].decode("ascii", "replace").split()
    return bool(words) and words[0] not in ENDED


def _shared(proc: Path, holders: dict[str, list[Holder]]) -> Iterator[SharedSocket]:
    spaces: dict[str, tuple[dict[str, Row], frozenset[str]]] = {}
    for inode, each in holders.items():
        folder = proc / str(each[0].pid)
        space = link(folder / "ns/net") or ""
        if space not in spaces:
            rows = {one.inode: one for one in established(folder / "net")}
            spaces[space] = (rows, listening(folder / "net"))
        rows, ports = spaces[space]
        row = rows.get(inode)
        if row is not None and row.local.rpartition(":")[2] not in ports:
            yield SharedSocket(row.local, row.remote, tuple(sorted(each, key=lambda one: -one.age_s)))


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
