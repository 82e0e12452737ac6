"""The jobs that our runtime's threads ran, from the records that it keeps where a core holds them."""

from typing import Final

from kiqdoctor.doctor.facts.cores import RunningJob
from kiqdoctor.probes.native.core_file import Core
from kiqdoctor.text import clean
from kiqdoctor.wire.codec import NotJsonError, decode
from kiqdoctor.wire.fields import CLASS, JID, QUEUE
from kiqdoctor.wire.marks import HEADER, MAGIC, NAME, RECORD, RECORDS, SIZE
from kiqdoctor.wire.numbers import real

LARGEST: Final = 64 * 1024 * 1024  # bytes of one payload


def jobs(core: Core) -> tuple[tuple[RunningJob, ...], str]:
    """Those that ran when it was written, and what could not be told of them ("": nothing)."""
    place = next((one for one in core.notes.mapped if one.path.startswith(f"/memfd:{NAME}")), None)
    if place is None:
        return (), ""
    raw = core.memory(place.start, SIZE)
    if len(raw) < HEADER.size or HEADER.unpack_from(raw)[0] != MAGIC:
        return (), "the jobs that ran: the core does not hold where the runtime keeps them"
    _, pid, start, count = HEADER.unpack_from(raw)
    found: list[RunningJob] = []
    lost = 0
    for number in range(min(count, RECORDS)):
        at = start + number * RECORD.size
        if at + RECORD.size > len(raw):
            break
        live, tid, address, size, since = RECORD.unpack_from(raw, at)
        if live != 1:
            continue
        job = _job(core, tid, address, size, since)
        found += [job] if job is not None else []
        lost += job is None
    if pid != core.notes.pid and not {one.tid for one in found} & {one.tid for one in core.notes.threads}:
        return (), f"the jobs that ran: worker {pid} put them down, and this is a child that it forked"
    return tuple(found), f"{lost} jobs that ran: the core does not hold their payloads" if lost else ""


def _job(core: Core, tid: int, address: int, size: int, since: float) -> RunningJob | None:
    if not 0 < size <= LARGEST:
        return None
    try:
        fields = decode(core.memory(address, size))
    except NotJsonError:
        return None
    if not isinstance(fields, dict):
        return None
    jid, name, queue = (clean(str(fields.get(one) or "")) for one in (JID, CLASS, QUEUE))
    return RunningJob(tid, jid, name, queue, real(since) or 0.0)
