"""The notes of an ELF core file: whose it is, which signal ended it, and in which library it was."""

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

CORE: Final = 4  # e_type
NOTE: Final = 4  # p_type
PRSTATUS: Final = 1
PRPSINFO: Final = 3
FILE: Final = 0x46494C45
COUNTER: Final = {62: 112 + 16 * 8, 183: 112 + 32 * 8}  # where prstatus has the program counter, by e_machine
MOST_HEADERS: Final = 65_536
MOST_NOTES: Final = 16 * 1024 * 1024  # bytes
HEADER: Final = struct.Struct("<HHIQQQIHHHHHH")  # after the 16 bytes of identity
PROGRAM: Final = struct.Struct("<IIQQQQQQ")


class CoreFile(NamedTuple):
    """``signal`` 0: it does not say. ``arguments`` as the kernel cut them; ``library`` "": none was mapped there."""

    signal: int = 0
    pid: int = 0
    program: str = ""
    arguments: str = ""
    library: str = ""


def core_file(path: Path) -> CoreFile | None:
    """None: no core file of 64 bits, or one that cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:  # noqa: PLR2004 - 64 bits, little-endian
                return None
            kind, machine, _, _, offset, _, _, _, size, count, *_ = HEADER.unpack_from(head, 16)
            if kind != CORE or size != PROGRAM.size or count > MOST_HEADERS:
                return None
            file.seek(offset)
            table = file.read(size * count)
            notes = b""
            for at in range(0, len(table) - size + 1, size):
                entry = PROGRAM.unpack_from(table, at)
                if entry[0] == NOTE and len(notes) + entry[5] <= MOST_NOTES:
                    file.seek(entry[2])
                    notes += file.read(entry[5])
    except (OSError, struct.error):
        return None
    return _read(notes, machine)


def _read(notes: bytes, machine: int) -> CoreFile:
    """The first prstatus is that of the thread that crashed."""
    found = CoreFile()
    counter = 0
    for kind, body in _notes(notes):
        if kind == PRSTATUS and not found.signal and len(body) > 112:  # noqa: PLR2004 - the registers begin there
            place = COUNTER.get(machine, 0)
            counter = struct.unpack_from("<Q", body, place)[0] if place and len(body) >= place + 8 else 0
            found = found._replace(signal=struct.unpack_from("<h", body, 12)[0])
        elif kind == PRPSINFO and len(body) >= 136:  # noqa: PLR2004 - its size on 64 bits
            found = found._replace(
                pid=struct.unpack_from("<i", body, 24)[0], program=_text(body[40:56]), arguments=_text(body[56:136])
            )
        elif kind == FILE and counter:
            found = found._replace(library=_mapped(body, counter))
    return found


def _notes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 12 <= len(raw):
        name, size, kind = struct.unpack_from("<III", raw, at)
        at += 12 + (name + 3 & ~3)
        yield kind, raw[at : at + size]
        at += size + 3 & ~3


def _mapped(body: bytes, counter: int) -> str:
    """The file that is mapped at this address."""
    count, _ = struct.unpack_from("<QQ", body, 0)
    if count > len(body) // 24:
        return ""
    ranges = [struct.unpack_from("<QQQ", body, 16 + 24 * index) for index in range(count)]
    names = body[16 + 24 * count :].split(b"\0")
    for (start, end, _), name in zip(ranges, names, strict=False):
        if start <= counter < end:
            return name.decode("utf-8", "backslashreplace")
    return ""


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace").strip()
