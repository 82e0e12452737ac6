"""Which TCP connections a process holds, and how much lies unread in them."""

import ipaddress
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from kiqdoctor.probes.host.files import link, listed, read

ESTABLISHED = "01"
TABLE_LIMIT = 32 * 1024 * 1024  # bytes: some 200,000 connections
MOST = 4_096  # descriptors of one process


def connections(folder: Path) -> tuple[tuple[tuple[str, str], ...], int]:
    """(local, remote) address:port pairs, and the bytes that wait in their receive queues."""
    inodes = {target[8:-1] for number in listed(folder / "fd")[:MOST] if (target := _socket(folder / "fd" / number))}
    pairs: list[tuple[str, str]] = []
    unread = 0
    if inodes:
        for name in ("tcp", "tcp6"):
            for local, remote, waiting, inode in _rows(folder / "net" / name):
                if inode in inodes:
                    pairs.append((local, remote))
                    unread += waiting
    return tuple(pairs), unread


def _socket(path: Path) -> str:
    target = link(path) or ""
    return target if target.startswith("socket:[") else ""


def _rows(table: Path) -> Iterator[tuple[str, str, int, str]]:
    for line in (read(table, TABLE_LIMIT) or b"").decode("ascii", "replace").splitlines()[1:]:
        cells = line.split()
        if len(cells) > 9 and cells[3] == ESTABLISHED:  # noqa: PLR2004 - the inode is the tenth
            yield address(cells[1]), address(cells[2]), int(cells[4].rpartition(":")[2], 16), cells[9]


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
