"""The dynamic section of an ELF file: what it needs, where it looks, for which machine; bounds are checked."""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kiqdoctor.probes.tree.disk import regular

MACHINES: Final = {3: "i686", 40: "armv7l", 62: "x86_64", 183: "aarch64", 243: "riscv64", 21: "ppc64le", 22: "s390x"}
PT_LOAD, PT_DYNAMIC = 1, 2
NEEDED, STRTAB, STRSZ, SONAME, RPATH, RUNPATH = 1, 5, 10, 14, 15, 29
MOST_ENTRIES: Final = 4_096


class ElfError(ValueError):
    """No ELF file, or a broken one; one line."""


@dataclass(frozen=True, slots=True)
class Elf:
    """One file's dynamic section."""

    machine: str
    needed: tuple[str, ...] = ()
    soname: str = ""
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()


def read(path: Path) -> Elf:
    """The dynamic section of a file.

    Raises:
        ElfError: empty, no ELF, cut off, or with offsets that lead out of it.
        OSError: it cannot be read, or is no regular file.
    """
    with regular(path) as file:
        try:
            data = mmap.mmap(file, 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise ElfError("it is empty") from None
        with data:
            try:
                return _read(data)
            except (struct.error, IndexError, OverflowError):
                raise ElfError("it is cut off or broken") from None


def _read(data: mmap.mmap) -> Elf:
    if data[:4] != b"\x7fELF":
        raise ElfError("it is no ELF file")
    wide, order = data[4] == 2, "<" if data[5] == 1 else ">"  # noqa: PLR2004 - ELFCLASS64
    machine = struct.unpack_from(f"{order}H", data, 18)[0]
    headers = _headers(data, order, wide=wide)
    loads = [(address, offset, size) for kind, offset, address, size in headers if kind == PT_LOAD]
    dynamic = next(((offset, size) for kind, offset, _, size in headers if kind == PT_DYNAMIC), None)
    if dynamic is None:
        return Elf(MACHINES.get(machine, f"machine {machine}"))
    entries = _entries(data, *dynamic, order, wide=wide)
    table = next((_offset(value, loads) for tag, value in entries if tag == STRTAB), None)
    size = next((value for tag, value in entries if tag == STRSZ), 0)
    if table is None or table + size > len(data):
        raise ElfError("its string table lies outside of it")
    strings = data[table : table + size]

    def texts(wanted: int) -> list[str]:
        return [_string(strings, value) for tag, value in entries if tag == wanted]

    return Elf(
        machine=MACHINES.get(machine, f"machine {machine}"),
        needed=tuple(texts(NEEDED)),
        soname=next(iter(texts(SONAME)), ""),
        rpath=tuple(part for text in texts(RPATH) for part in text.split(":") if part),
        runpath=tuple(part for text in texts(RUNPATH) for part in text.split(":") if part),
    )


def _headers(data: mmap.mmap, order: str, *, wide: bool) -> list[tuple[int, int, int, int]]:
    """Program headers: kind, offset, address, size."""
    if wide:
        start = struct.unpack_from(f"{order}Q", data, 32)[0]
        size, count = struct.unpack_from(f"{order}HH", data, 54)
    else:
        start = struct.unpack_from(f"{order}I", data, 28)[0]
        size, count = struct.unpack_from(f"{order}HH", data, 42)
    found = []
    for number in range(min(count, MOST_ENTRIES)):
        at = start + number * size
        if wide:
            kind, _, offset, address, _, length = struct.unpack_from(f"{order}IIQQQQ", data, at)
        else:
            kind, offset, address, _, length = struct.unpack_from(f"{order}IIIII", data, at)
        found.append((kind, offset, address, length))
    return found


def _entries(data: mmap.mmap, offset: int, size: int, order: str, *, wide: bool) -> list[tuple[int, int]]:
    form = f"{order}QQ" if wide else f"{order}II"
    step = struct.calcsize(form)
    found = []
    for number in range(min(size // step, MOST_ENTRIES)):
        tag, value = struct.unpack_from(form, data, offset + number * step)
        if tag == 0:
            break
        found.append((tag, value))
    return found


def _offset(address: int, loads: list[tuple[int, int, int]]) -> int | None:
    return next((offset + address - start for start, offset, size in loads if start <= address < start + size), None)


def _string(strings: bytes, at: int) -> str:
    end = strings.find(b"\0", at)
    if not 0 <= at < len(strings) or end < 0:
        raise ElfError("a name lies outside its string table")
    return strings[at:end].decode("utf-8", "backslashreplace")
