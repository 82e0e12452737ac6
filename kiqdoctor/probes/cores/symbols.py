"""The function of a library that holds an address, where its own tables say so exactly."""

import os
import struct
from pathlib import Path
from typing import Final

from kiqdoctor.probes.tree.disk import regular

SECTION: Final = struct.Struct("<IIQQQQIIQQ")
SYMBOL: Final = struct.Struct("<IBBHQQ")
PROGRAM: Final = struct.Struct("<IIQQQQQQ")
TABLES: Final = (2, 11)  # SHT_SYMTAB, SHT_DYNSYM
FUNCTIONS: Final = (2, 10)  # STT_FUNC, STT_GNU_IFUNC
MOST_SECTIONS: Final = 4_096
MOST_BYTES: Final = 64 * 1024 * 1024  # of one table
LONGEST: Final = 1_000  # bytes of a name


def function(path: Path, offset: int) -> str:
    """The name of what lies at this offset of the file; "" where no symbol covers it."""
    try:
        with regular(path) as file:
            return _function(file, offset)
    except (OSError, struct.error, ValueError, OverflowError):
        return ""


def _function(file: int, offset: int) -> str:
    head = os.pread(file, 64, 0)
    if head[:6] != b"\x7fELF\x02\x01" or len(head) < 64:  # noqa: PLR2004 - 64 bits, little-endian
        return ""
    programs, sections = struct.unpack_from("<QQ", head, 32)
    program_count, section_size, section_count = struct.unpack_from("<HHH", head, 56)
    if section_size != SECTION.size or section_count > MOST_SECTIONS:
        return ""
    address = _address(os.pread(file, PROGRAM.size * min(program_count, 256), programs), offset)
    table = os.pread(file, SECTION.size * section_count, sections)
    every = list(SECTION.iter_unpack(table[: len(table) // SECTION.size * SECTION.size]))
    for kind in TABLES:
        for one in every:
            if one[1] == kind and one[5] <= MOST_BYTES and one[6] < len(every) and address is not None:
                name = _named(os.pread(file, one[5], one[4]), address)
                if name is not None:
                    texts = every[one[6]]
                    raw = os.pread(file, LONGEST, texts[4] + name) if name < texts[5] else b""
                    return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace")
    return ""


def _address(programs: bytes, offset: int) -> int | None:
    """What the linker called this place of the file."""
    for kind, _, begins, address, _, size, _, _ in PROGRAM.iter_unpack(programs[: len(programs) // 56 * 56]):
        if kind == 1 and begins <= offset < begins + size:
            return int(address + offset - begins)
    return None


def _named(table: bytes, address: int) -> int | None:
    for name, info, _, section, value, size in SYMBOL.iter_unpack(table[: len(table) // SYMBOL.size * SYMBOL.size]):
        if section and info & 15 in FUNCTIONS and value <= address < value + size:
            return int(name)
    return None
