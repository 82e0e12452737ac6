"""Puts down where a core file would show it which jobs run, and in which threads."""

import mmap
import os
import threading
from dataclasses import dataclass
from typing import Final

from kiqdoctor.wire.marks import HEADER, MAGIC, NAME, RECORD, RECORDS, SIZE, START

DATA: Final = bytes.__basicsize__ - 1  # from a bytes object to its bytes, in CPython

write: Final = RECORD.pack_into


@dataclass(slots=True)
class Mark:
    """One thread's place; ``tid`` as the kernel numbers it."""

    memory: "mmap.mmap | bytearray"
    place: int
    tid: int = 0

    def take(self) -> None:
        """It is the calling thread's from now on."""
        self.tid = threading.get_native_id()
        HEADER.pack_into(self.memory, 0, MAGIC, os.getpid(), START, RECORDS)

    def put(self, payload: bytes, since: float) -> None:
        """This job runs from now on; its bytes stay where they are until ``clear``."""
        write(self.memory, self.place, 1, self.tid, id(payload) + DATA, len(payload), since)

    def clear(self) -> None:
        """No job runs."""
        self.memory[self.place] = 0


class Marks:
    """All threads of a process; beyond those that have room a thread's jobs are not put down."""

    def __init__(self) -> None:
        self._memory = _mapped()
        self._given = 0

    def one_more(self) -> Mark:
        """A place for one more thread."""
        number, self._given = self._given, self._given + 1
        if number >= RECORDS:
            return Mark(bytearray(SIZE), START)
        return Mark(self._memory, START + number * RECORD.size)


def _mapped() -> "mmap.mmap | bytearray":
    """Memory with a name, of this process alone: a child after fork has a copy. Memory without, where there is none."""
    try:
        file = os.memfd_create(NAME, os.MFD_CLOEXEC)
    except (AttributeError, OSError):  # no Linux, or a sandbox that forbids it
        return bytearray(SIZE)
    try:
        os.truncate(file, SIZE)
        return mmap.mmap(file, SIZE, flags=mmap.MAP_PRIVATE)
    except OSError:
        return bytearray(SIZE)
    finally:
        os.close(file)
