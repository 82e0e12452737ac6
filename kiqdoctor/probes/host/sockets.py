"""Which TCP connections a process holds, and how much lies unread in them."""

import ipaddress
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from kiqdoctor.probes.host.files import link, listed, read

ESTABLISHED = "01"
LISTENING = "0A"
TABLE_LIMIT = 32 * 1024 * 1024  # bytes: some 200,000 connections
MOST = 4_096  # descriptors of one process


class Row(NamedTuple):
    """One line of such a table; ``unsent``: not acknowledged, sent again so often; ``unread``: by its own process."""

    local: str
    remote: str
    state: str
    unsent: int
    unread: int
    inode: str
    retries: int = 0


def connections(folder: Path) -> tuple[tuple[tuple[str, str], ...], tuple[tuple[str, int], ...]]:
    """(local, remote) address:port pairs; and the local ones of those in which bytes wait to be read, with how many."""
    inodes = held(folder)
    rows = [one for one in established(folder / "net") if one.inode in inodes] if inodes else []
    return tuple((one.local, one.remote) for one in rows), tuple((one.local, one.unread) for one in rows if one.unread)


def held(folder: Path) -> dict[str, int]:
    """Inodes of the sockets that a process has open, and a descriptor of each."""
    found = {}
    for number in listed(folder / "fd")[:MOST]:
        if target := _socket(folder / "fd" / number):
            found[target[8:-1]] = int(number)
    return found


def established(folder: Path) -> Iterator[Row]:
    """Connections of a network namespace, by the tables of one of its processes."""
    for name in ("tcp", "tcp6"):
        yield from (row for row in _rows(folder / name) if row.state == ESTABLISHED)


def listening(folder: Path) -> frozenset[str]:
    """Ports that somebody listens on there."""
    return frozenset(listeners(folder).values())


def listeners(folder: Path) -> dict[str, str]:
    """The same, by the inode of the socket that listens."""
    rows = (row for name in ("tcp", "tcp6") for row in _rows(folder / name))
    return {row.inode: row.local.rpartition(":")[2] for row in rows if row.state == LISTENING}


def _socket(path: Path) -> str:
    target = link(path) or ""
    return target if target.startswith("socket:[") else ""


def _rows(table: Path) -> Iterator[Row]:
    for line in (read(table, TABLE_LIMIT) or b"").decode("ascii", "replace").splitlines()[1:]:
        cells = line.split()
        if len(cells) > 9 and cells[3] in {ESTABLISHED, LISTENING}:  # noqa: PLR2004 - the inode is the tenth
            unsent, _, unread = cells[4].partition(":")
            numbers = int(unsent, 16), int(unread, 16)
            yield Row(address(cells[1]), address(cells[2]), cells[3], *numbers, cells[9], int(cells[6], 16))


def address(cell: str) -> str:
    """``0100007F:1F90`` as ``127.0.0.1:8080``, as CLIENT LIST spells it."""
    number, _, port = cell.partition(":")
    raw = bytes.fromhex(number)
    words = b"".join(raw[start : start + 4][::-1] for start in range(0, len(raw), 4))
    ip = ipaddress.ip_address(words)
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    shown = mapped or ip
    host = f"[{shown}]" if isinstance(shown, ipaddress.IPv6Address) else str(shown)
    return f"{host}:{int(port, 16)}"


def own_addresses(proc: Path) -> tuple[str, ...]:
    """This host's IP addresses."""
    found: dict[str, None] = {}
    lines = (read(proc / "net" / "fib_trie") or b"").decode("ascii", "replace").splitlines()
    for line, after in pairwise(lines):
        if "/32 host LOCAL" in after:
            found[line.split()[-1]] = None
    for line in (read(proc / "net" / "if_inet6") or b"").decode("ascii", "replace").splitlines():
        found[str(ipaddress.ip_address(bytes.fromhex(line.split()[0])))] = None
    return tuple(found)
