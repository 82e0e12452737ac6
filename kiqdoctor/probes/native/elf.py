"""The dynamic section of an ELF file: what it needs, where it looks, for which machine; bounds are checked."""

import os
import struct
from pathlib import Path
from typing import Final

from kiqdoctor.probes.tree.disk import regular
from kiqdoctor.records import dataclass

MACHINES: Final = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}
PT_LOAD, PT_DYNAMIC = 1, 2
NEEDED, STRTAB, STRSZ, SONAME, RPATH, RUNPATH = 1, 5, 10, 14, 15, 29
MOST_HEADERS: Final = 256  # linkers write some ten
MOST_ENTRIES: Final = 4_096
MOST_NEEDED: Final = 256  # libraries that one file needs; the largest programs that we know need a hundred
MOST_FOLDERS: Final = 64  # of RPATH and RUNPATH
LONGEST: Final = 4_096  # bytes of a name: the longest path


class ElfError(ValueError):
    """No ELF file, or a broken one; one line."""


class BeyondError(OSError):
    """More of something than is looked at; whether the file is sound is not known."""


@dataclass(frozen=True, slots=True)
class Elf:
    """One file's dynamic section."""

    machine: str
    needed: tuple[str, ...] = ()
    soname: str = ""
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


class _Bytes:
    """A file's bytes, read where they are asked for: what it announces is never taken into memory.

    Not mapped: a file that is cut while it is read would end this process (SIGBUS).
    """

    def __init__(self, file: int) -> None:
        self._file = file
        self.size = os.fstat(file).st_size

    def part(self, at: int, count: int) -> bytes:
        """So many bytes from there on, fewer at the file's end."""
        return os.pread(self._file, min(count, self.size - at), at) if at < self.size else b""

    def unpack(self, form: str, at: int) -> tuple[int, ...]:
        """Numbers at a place; ``struct.error`` where the file ends before."""
        return struct.unpack(form, self.part(at, struct.calcsize(form)))


def read(path: Path) -> Elf:
    """The dynamic section of a file.

    Raises:
        ElfError: empty, no ELF, cut off, or with offsets that lead out of it.
        BeyondError: it has more of something than is looked at.
        OSError: it cannot be read, or is no regular file.
    """
    with regular(path) as file:
        data = _Bytes(file)
        if not data.size:
            raise ElfError("it is empty")
        try:
            return _read(data)
        except (struct.error, IndexError, OverflowError):
            raise ElfError("it is cut off or broken") from None


def _read(data: _Bytes) -> Elf:
    start = data.part(0, 20)
    if start[:4] != b"\x7fELF":
        raise ElfError("it is no ELF file")
    wide, order = start[4] == 2, "<" if start[5] == 1 else ">"  # noqa: PLR2004 - ELFCLASS64
    machine = struct.unpack_from(f"{order}H", start, 18)[0]
    headers = _headers(data, order, wide=wide)
    loads = [(address, offset, size) for kind, offset, address, size in headers if kind == PT_LOAD]
    dynamic = next(((offset, size) for kind, offset, _, size in headers if kind == PT_DYNAMIC), None)
    if dynamic is None:
        return Elf(MACHINES.get(machine, f"machine {machine}"))
    entries = _entries(data, *dynamic, order, wide=wide)
    table = next((_offset(value, loads) for tag, value in entries if tag == STRTAB), None)
    size = next((value for tag, value in entries if tag == STRSZ), 0)
    if table is None or table + size > data.size:
        raise ElfError("its string table lies outside of it")

    def texts(wanted: int, most: int) -> list[str]:
        places = [value for tag, value in entries if tag == wanted]
        if len(places) > most:
            raise BeyondError(f"it names {len(places)} libraries or paths, more than {most} are not looked at")
        return [_string(data, table, size, place) for place in places]

    def folders(wanted: int) -> tuple[str, ...]:
        parts = [part for text in texts(wanted, MOST_FOLDERS) for part in text.split(":") if part]
        if len(parts) > MOST_FOLDERS:
            raise BeyondError(f"it looks in {len(parts)} folders, more than {MOST_FOLDERS} are not looked at")
        return tuple(parts)

    return Elf(
        machine=MACHINES.get(machine, f"machine {machine}"),
        needed=tuple(texts(NEEDED, MOST_NEEDED)),
        soname=next(iter(texts(SONAME, MOST_FOLDERS)), ""),
        rpath=folders(RPATH),
        runpath=folders(RUNPATH),
    )


def _headers(data: _Bytes, order: str, *, wide: bool) -> list[tuple[int, int, int, int]]:
    """Program headers: kind, offset, address, size."""
    start = data.unpack(f"{order}Q", 32)[0] if wide else data.unpack(f"{order}I", 28)[0]
    size, count = data.unpack(f"{order}HH", 54 if wide else 42)
    if start + count * size > data.size:
        raise ElfError("its program headers lie outside of it")
    if count > MOST_HEADERS:
        raise BeyondError(f"it has {count} program headers, more than {MOST_HEADERS} are not looked at")
    found = []
    for number in range(count):
        at = start + number * size
        if wide:
            kind, _, offset, address, _, length = data.unpack(f"{order}IIQQQQ", at)
        else:
            kind, offset, address, _, length = data.unpack(f"{order}IIIII", at)
        found.append((kind, offset, address, length))
    return found


def _entries(data: _Bytes, offset: int, size: int, order: str, *, wide: bool) -> list[tuple[int, int]]:
    form = f"{order}QQ" if wide else f"{order}II"
    step = struct.calcsize(form)
    count = size // step
    section = data.part(offset, min(count, MOST_ENTRIES) * step)
    found = []
    for number in range(count):
        if number == MOST_ENTRIES:
            raise BeyondError(f"its dynamic section has more than {MOST_ENTRIES} entries")
        tag, value = struct.unpack_from(form, section, number * step)
        if tag == 0:
            break
        found.append((tag, value))
    return found


def _offset(address: int, loads: list[tuple[int, int, int]]) -> int | None:
    return next((offset + address - start for start, offset, size in loads if start <= address < start + size), None)


def _string(data: _Bytes, table: int, size: int, at: int) -> str:
    if at >= size:
        raise ElfError("a name lies outside its string table")
    raw, end, _ = data.part(table + at, min(size - at, LONGEST)).partition(b"\0")
    if not end and size - at > LONGEST:
        raise BeyondError(f"it holds a name of more than {LONGEST} bytes")
    if not end:
        raise ElfError("a name does not end")
    return raw.decode("utf-8", "backslashreplace")
