"""The jobs that our runtime's threads run, from the records that it keeps in its memory, or in that of a core file."""

from collections.abc import Callable
from typing import Final, NamedTuple

from kiqdoctor.doctor.facts.cores import RunningJob
from kiqdoctor.probes.native.core_file import Core
from kiqdoctor.text import clean
from kiqdoctor.wire.codec import NotJsonError, decode
from kiqdoctor.wire.fields import CLASS, JID, QUEUE
from kiqdoctor.wire.marks import HEADER, MAGIC, NAME, RECORD, RECORDS, SIZE
from kiqdoctor.wire.numbers import real

LARGEST: Final = 64 * 1024 * 1024  # bytes of all payloads
MAPPING: Final = f"/memfd:{NAME}"

Memory = Callable[[int, int], bytes]
"""So many bytes from an address on, as far as they are to be had."""


class Noted(NamedTuple):
    """What process ``pid`` put down: the jobs, and of how many more the payload is not to be had."""

    pid: int
    jobs: tuple[RunningJob, ...]
    lost: int


def jobs(core: Core) -> tuple[tuple[RunningJob, ...], str]:
    """Those that ran when it was written, and what could not be told of them ("": nothing)."""
    place = next((one for one in core.notes.mapped if one.path.startswith(MAPPING)), None)
    if place is None:
        return (), ""
    found = noted(core.memory, place.start)
    if found is None:
        return (), "the jobs that ran: the core does not hold where the runtime keeps them"
    if found.pid != core.notes.pid and not {one.tid for one in found.jobs} & {one.tid for one in core.notes.threads}:
        return (), f"the jobs that ran: worker {found.pid} put them down, and this is a child that it forked"
    return found.jobs, f"{found.lost} jobs that ran: the core does not hold their payloads" if found.lost else ""


def noted(memory: Memory, start: int) -> Noted | None:
    """The records that begin there; None where there are none."""
    raw = memory(start, SIZE)
    if len(raw) < HEADER.size or HEADER.unpack_from(raw)[0] != MAGIC:
        return None
    _, pid, first, count = HEADER.unpack_from(raw)
    found: list[RunningJob] = []
    lost, left = 0, LARGEST
    for at in range(first, min(len(raw) - RECORD.size + 1, first + min(count, RECORDS) * RECORD.size), RECORD.size):
        live, tid, address, size, since = RECORD.unpack_from(raw, at)
        if live != 1:
            continue
        job = _job(memory, tid, address, size, since) if size <= left else None
        left -= min(size, left)
        # Of a process that runs meanwhile, one that has ended since may have left its place in memory to another.
        if memory(start + at, RECORD.size) != raw[at : at + RECORD.size]:
            continue
        found += [job] if job is not None else []
        lost += job is None
    return Noted(pid, tuple(found), lost)


def _job(memory: Memory, tid: int, address: int, size: int, since: float) -> RunningJob | None:
    try:
        fields = decode(memory(address, size))
    except NotJsonError:
        return None
    if not isinstance(fields, dict):
        return None
    jid, name, queue = (clean(str(fields.get(one) or "")) for one in (JID, CLASS, QUEUE))
    return RunningJob(tid, jid, name, queue, real(since) or 0.0)
