"""An ELF core file: which signal ended whom, where each thread stood, what was mapped where, and its memory.

Only what is asked for is read, whatever the headers announce: a core may be huge, sparse, cut off, or made by an enemy.
"""

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

CORE: Final = 4  # e_type
LOAD, NOTE = 1, 4  # p_type
PRSTATUS: Final = 1
PRPSINFO: Final = 3
AUXV: Final = 6
FILE: Final = 0x46494C45
SIGINFO: Final = 0x53494749
ENTRY: Final = 9  # of the auxiliary vector: where the program itself begins
X86_64: Final = 62
REGISTERS: Final = 112  # where they begin in prstatus
COUNTER: Final = {X86_64: REGISTERS + 16 * 8, 183: REGISTERS + 32 * 8}  # the program counter in prstatus, by e_machine
STACK: Final = {X86_64: REGISTERS + 19 * 8, 183: REGISTERS + 31 * 8}
MOST_HEADERS: Final = 65_534
MOST_NOTES: Final = 64 * 1024 * 1024  # bytes; a thread has 3 to 11 KiB
MOST_THREADS: Final = 10_000
MOST_FILES: Final = 65_536
LONGEST: Final = 4_096  # bytes of a name: the longest path
LARGEST: Final = 2**63  # no offset in a file is that large
HANDLERS: Final = 256 * 1024  # bytes of a stack in which a handled signal's frame is looked for
KERNELS: Final = frozenset({4, 5, 7, 8, 11})  # signals that an instruction raises
HEADER: Final = struct.Struct("<HHIQQQIHHHHHH")  # after the 16 bytes of identity
PROGRAM: Final = struct.Struct("<IIQQQQQQ")
USER: Final = 0x33  # the code segment of a program on x86-64
MOST_FLAGS: Final = 0xFF  # of a ucontext
FRAME: Final = 440  # bytes that the kernel pushes: struct rt_sigframe
PAGE_FAULT: Final = 14
TRAPS: Final = {4: (6,), 5: (1, 3), 7: (PAGE_FAULT, 17), 8: (0, 16, 19), 11: (13, PAGE_FAULT)}  # of x86, by signal
COMPRESSED: Final = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"\xfd7zX": "xz", b"\x1f\x8b": "gzip"}


class NoCoreError(Exception):
    """Not there, or no core file; one line."""


class BrokenError(Exception):
    """A core file, as it seems, of which nothing can be told; one line."""


class Thread(NamedTuple):
    """One thread: where it executes, and where its stack ends."""

    tid: int
    counter: int
    stack: int


class Mapped(NamedTuple):
    """A file's part in memory; ``offset`` in bytes of the file."""

    start: int
    end: int
    offset: int
    path: str


class Segment(NamedTuple):
    """A part of memory, of which the core holds ``size`` bytes."""

    address: int
    offset: int
    size: int
    flags: int


class Fault(NamedTuple):
    """Why a signal came: ``code`` above 0 is the kernel's own; ``sender`` is whose kill it was, else None."""

    signal: int
    code: int = 0
    address: int | None = None
    sender: int | None = None


class CoreFile(NamedTuple):
    """``signal`` 0: it does not say. ``arguments`` as the kernel cut them; ``library`` "": none was mapped there.

    The first thread is that which got the signal. ``cut``: the file ends before what it announces.
    """

    signal: int = 0
    pid: int = 0
    program: str = ""
    arguments: str = ""
    library: str = ""
    machine: int = 0
    fault: Fault | None = None
    entry: int = 0
    threads: tuple[Thread, ...] = ()
    mapped: tuple[Mapped, ...] = ()
    segments: tuple[Segment, ...] = ()
    cut: bool = False
    bytes: int = 0  # of the whole file

    def at(self, address: int) -> Mapped | None:
        """The file that is mapped there."""
        return next((one for one in self.mapped if one.start <= address < one.end), None)

    @property
    def executable(self) -> str:
        """The program's own file: where execution begins; "" where it is not known."""
        found = self.at(self.entry) if self.entry else None
        return found.path if found is not None else ""


class Core:
    """One that is open: what its notes say, and its memory."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._size = os.fstat(file).st_size
        self.notes = _core(file, self._size)

    def memory(self, address: int, size: int) -> bytes:
        """What the core holds of these bytes, from the first on; b"" where it holds none."""
        for one in self.notes.segments:
            if one.address <= address < one.address + one.size:
                inside = address - one.address
                return _read(self._file, one.offset + inside, min(size, one.size - inside))
        return b""

    @property
    def raised_again(self) -> bool:
        """Whether the process sent itself what ended it, as a handler does that has told of the signal before."""
        fault = self.notes.fault
        return fault is None or (fault.code <= 0 and fault.sender in {None, self.notes.pid})

    def handled(self) -> tuple[Fault, Thread] | None:
        """What came to the thread first, where a handler (Ruby's, faulthandler's) answered it and then raised what
        ended the process, or failed itself: faulthandler walks the frames of threads that run meanwhile.
        """
        if not self.notes.threads or self.notes.machine != X86_64:
            return None
        first = self.notes.threads[0]
        stack = self.memory(first.stack, HANDLERS)
        for at in range(0, len(stack) - FRAME, 8):
            frame = stack[at : at + FRAME]
            flags, link = struct.unpack_from("<QQ", frame, 8)
            pointer, counter, state, segment = struct.unpack_from("<QQQH", frame, 168)
            if flags <= MOST_FLAGS and not link and segment == USER and state & 2 and state < 1 << 22:
                found = _interrupted(frame, self.notes.signal)
                # A handler that failed by itself is to blame itself, unless a failed instruction had called it.
                return (found, Thread(first.tid, counter, pointer)) if self.raised_again or found.code > 0 else None
        return None


@contextmanager
def opened(path: Path) -> Iterator[Core]:
    """The core file of that name.

    Raises:
        NoCoreError: there is none, or it is no regular file, or no core.
        BrokenError: it may not be read, or its headers lead nowhere.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except (FileNotFoundError, NotADirectoryError, ValueError):
        raise NoCoreError("there is no such file") from None
    except OSError as error:
        raise BrokenError(f"it cannot be read: {error.strerror}") from None
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise NoCoreError("it is no regular file")
        yield Core(file)
    except OSError as error:
        raise BrokenError(f"it cannot be read: {error.strerror}") from None
    finally:
        os.close(file)


def core_file(path: Path) -> CoreFile | None:
    """What its notes say; None: no core file of 64 bits, or one that cannot be read."""
    try:
        with opened(path) as core:
            return core.notes
    except (NoCoreError, BrokenError):
        return None


def _read(file: int, at: int, size: int) -> bytes:
    return os.pread(file, size, at) if 0 <= at < LARGEST and size > 0 else b""


def _core(file: int, size: int) -> CoreFile:
    head = _read(file, 0, 64)
    if head[:4] != b"\x7fELF":
        packed = next((name for magic, name in COMPRESSED.items() if head.startswith(magic)), "")
        if packed:
            raise BrokenError(f"it is packed: {packed} -dc FILE > core, or coredumpctl dump PID -o core")
        raise NoCoreError("it is empty" if not head else "it is no ELF file")
    if len(head) < 64:  # noqa: PLR2004 - the size of the header
        raise BrokenError("it is cut off in its header")
    if head[4:6] != b"\x02\x01":
        raise BrokenError("it is not of a little-endian machine of 64 bits")
    kind, machine, _, _, offset, _, _, _, entry, count, *_ = HEADER.unpack_from(head, 16)
    if kind != CORE:
        raise NoCoreError("it is an ELF file, and no core")
    if entry != PROGRAM.size or not count or count > MOST_HEADERS:
        raise BrokenError(f"its {count} program headers of {entry} bytes cannot be those of a core")
    return _parts(file, size, machine, _read(file, offset, entry * count), count)


def _parts(file: int, size: int, machine: int, table: bytes, count: int) -> CoreFile:
    notes: list[bytes] = []
    segments: list[Segment] = []
    left, ends = MOST_NOTES, 0
    for kind, flags, offset, address, _, held, _, _ in PROGRAM.iter_unpack(table[: len(table) // 56 * 56]):
        ends = max(ends, offset + held)
        if kind == NOTE and left:
            notes.append(_read(file, offset, min(held, left)))
            left -= len(notes[-1])
        elif kind == LOAD and held and offset < size:
            segments.append(Segment(address, offset, min(held, size - offset), flags))
    found = _told(b"".join(notes), machine)
    if not found.threads and not found.pid:
        raise BrokenError("it says neither whose it is nor what its threads did: it is cut off or broken")
    return found._replace(
        machine=machine, segments=tuple(segments), cut=ends > size or len(table) < 56 * count, bytes=size
    )


def _told(notes: bytes, machine: int) -> CoreFile:
    """The first prstatus is that of the thread that crashed."""
    found = CoreFile()
    threads: list[Thread] = []
    for kind, body in _notes(notes):
        if kind == PRSTATUS and len(body) > REGISTERS and len(threads) < MOST_THREADS:
            if not threads:
                found = found._replace(signal=struct.unpack_from("<h", body, 12)[0])
            threads.append(
                Thread(struct.unpack_from("<i", body, 32)[0], _register(body, COUNTER.get(machine)),
                       _register(body, STACK.get(machine)))
            )  # fmt: skip
        elif kind == PRPSINFO and len(body) >= 136:  # noqa: PLR2004 - its size on 64 bits
            found = found._replace(
                pid=struct.unpack_from("<i", body, 24)[0], program=_text(body[40:56]), arguments=_text(body[56:136])
            )
        elif kind == SIGINFO and len(body) >= 32 and found.fault is None:  # noqa: PLR2004 - up to the address
            found = found._replace(fault=_fault(body))
        elif kind == AUXV:
            found = found._replace(entry=_entry(body))
        elif kind == FILE:
            found = found._replace(mapped=tuple(_mapped(body)))
    found = found._replace(threads=tuple(threads))
    library = found.at(threads[0].counter) if threads else None
    return found._replace(library=library.path if library is not None else "")


def _register(body: bytes, place: int | None) -> int:
    number: int = struct.unpack_from("<Q", body, place)[0] if place and len(body) >= place + 8 else 0
    return number


def _fault(info: bytes) -> Fault:
    """A siginfo: the kernel's own codes are above 0 and have an address, up to 0 they have a sender."""
    number, _, code = struct.unpack_from("<iii", info, 0)
    if number in KERNELS and 0 < code < 0x80:  # noqa: PLR2004 - SI_KERNEL
        return Fault(number, code, address=struct.unpack_from("<Q", info, 16)[0])
    return Fault(number, code, sender=struct.unpack_from("<i", info, 16)[0] if code <= 0 else None)


def _interrupted(frame: bytes, ended_by: int) -> Fault:
    """What a handler was told; one that asked for no siginfo has the processor's last trap beside its registers."""
    number, error, code = struct.unpack_from("<iii", frame, 312)
    if number in KERNELS and not error and abs(code) <= 0x80:  # noqa: PLR2004 - SI_KERNEL is the largest
        return _fault(frame[312:])
    trap, _, address = struct.unpack_from("<QQQ", frame, 208)
    if trap not in TRAPS.get(ended_by, ()):
        return Fault(ended_by)
    return Fault(ended_by, 1, address if trap == PAGE_FAULT else None)


def _notes(raw: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 12 <= len(raw):
        name, size, kind = struct.unpack_from("<III", raw, at)
        at += 12 + (name + 3 & ~3)
        yield kind, raw[at : at + size]
        at += size + 3 & ~3


def _entry(body: bytes) -> int:
    pairs = struct.iter_unpack("<QQ", body[: len(body) // 16 * 16])
    return next((value for kind, value in pairs if kind == ENTRY), 0)


def _mapped(body: bytes) -> Iterator[Mapped]:
    if len(body) < 16:  # noqa: PLR2004 - how many, and the size of a page
        return
    count, page = struct.unpack_from("<QQ", body, 0)
    count = min(count, (len(body) - 16) // 24, MOST_FILES)
    names = body[16 + 24 * count :].split(b"\0", count)
    for (start, end, offset), name in zip(struct.iter_unpack("<QQQ", body[16 : 16 + 24 * count]), names, strict=False):
        yield Mapped(start, end, offset * min(page, 1 << 20), name[:LONGEST].decode("utf-8", "backslashreplace"))


def _text(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("utf-8", "backslashreplace").strip()
