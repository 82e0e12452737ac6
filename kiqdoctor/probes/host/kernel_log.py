"""What the kernel says of processes that it ended, from /dev/kmsg, where reading takes nothing away."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import monotonic
from typing import Final

from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import KernelEvent, KernelLog, LocalProcesses
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Missing
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.files import read
from kiqdoctor.regex import regex
from kiqdoctor.text import clean
from kiqdoctor.wire.numbers import whole

DEVICE: Final = Path("/dev/kmsg")
MOST: Final = 50_000  # records
RECORD: Final = 8_192  # bytes, as the kernel's own limit
ENOUGH: Final = 2.0  # seconds
MICROS: Final = 10**15  # since a boot: 31 years
MOST_EVENTS: Final = 500  # the last ones
_NAME: Final = r"(?P<name>[^\[\]]{1,16})\[(?P<pid>\d{1,10})\]"
_LIBRARY: Final = regex(r" in ([^\[\]\s]{1,200})\[")
_PATTERNS: Final = (
    ("segfault", regex(rf"{_NAME}: segfault at ")),
    ("trap", regex(rf"traps: {_NAME} [a-z0-9 -]{{1,40}} ip:[0-9a-f]{{1,16}} sp:")),  # too long for a name to feign
    ("oom-kill", regex(r"[Oo]ut of memory:? Killed process (?P<pid>\d{1,10}) \((?P<name>[^)]{1,16})\)")),
)
_GROUP: Final = regex(r"oom-kill:.{0,600}?task_memcg=(?P<group>[^,]{1,300}),task=[^,]{0,100},pid=(?P<pid>\d{1,10})")


@probe(Read("/dev/kmsg", "kernel.dmesg_restrict=0 or CAP_SYSLOG", "the kernel's buffer"), lane=Lane.HOST)
def kernel_log(host: Host, local: LocalProcesses | Missing, fleet: Fleet | Missing) -> KernelLog:
    """Lines about processes that were killed or crashed, as far back as the buffer goes."""
    if isinstance(local, LocalProcesses) and not local.all and isinstance(fleet, Fleet) and not fleet.processes:
        raise AbsenceError("no worker runs here, nor is one registered: nobody's end is looked for")
    booted = next((int(line.split()[1]) for line in (read(host.proc / "stat") or b"").splitlines()
                   if line.startswith(b"btime ")), 0)  # fmt: skip
    return read_log(_records(), booted)


def _records() -> Iterator[bytes]:
    try:
        handle = os.open(DEVICE, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        why = f"the kernel's log may not be read: {error.strerror}"
        raise RefusalError(why, "root, CAP_SYSLOG, or kernel.dmesg_restrict=0") from None
    until = monotonic() + ENOUGH
    try:
        for _ in range(MOST):
            try:
                record = os.read(handle, RECORD)
            except BlockingIOError:
                return
            except BrokenPipeError:  # it was written over while we read: go on with the next
                continue
            except OSError:
                return
            yield record
            if monotonic() > until:
                return
    finally:
        os.close(handle)


def read_log(records: Iterable[bytes], booted: float) -> KernelLog:
    """Records as the device gives them: `priority,number,microseconds,flags;text`."""
    events: list[KernelEvent] = []
    groups: dict[int, str] = {}
    since = None
    for record in records:
        head, _, text = record.partition(b";")
        cells = head.split(b",")
        micros = whole(cells[2], most=MICROS) if len(cells) > 2 else None  # noqa: PLR2004 - the stamp is the third
        if micros is None:
            continue
        at = booted + micros / 1e6
        since = at if since is None else since
        line = text.partition(b"\n")[0].decode("utf-8", "backslashreplace")[:1_000]
        if found := _GROUP.search(line):
            groups[int(found["pid"])] = clean(found["group"])
        if event := _event(line, at):
            events.append(event)
    told = tuple(
        KernelEvent(one.at, one.kind, one.pid, one.name, one.library, groups.get(one.pid, ""))
        for one in events[-MOST_EVENTS:]
    )
    return KernelLog(told, since)


def _event(line: str, at: float) -> KernelEvent | None:
    for kind, pattern in _PATTERNS:
        if found := pattern.search(line):
            library = _LIBRARY.search(line) if kind != "oom-kill" else None
            return KernelEvent(
                at, kind, int(found["pid"]), clean(found["name"].strip()), clean(library[1]) if library else ""
            )
    return None
