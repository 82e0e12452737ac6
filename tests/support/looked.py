"""Snapshots in which a worker's threads were looked at."""

from dataclasses import replace

from healthy import HEALTHY
from healthy.host import LOCAL
from healthy.threads import LOOKS

from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.threads import ProcessLooks, Thread, ThreadLooks
from kiqdoctor.doctor.snapshot import Absent, Snapshot

NOT_DEEP = HEALTHY.without(ThreadLooks, Absent("threads are looked at with --deep only: it touches processes"))
_PYTHON = HEALTHY.with_(LocalProcesses("web-1", (replace(LOCAL, kind="kiqdoctor"),)))
REFUSED = _PYTHON.with_(ThreadLooks((ProcessLooks(4711, (), "process 4711 runs as uid 7", "run as root"),)))
ONCE = HEALTHY.with_(ThreadLooks((ProcessLooks(4711, LOOKS[:1]),)))
SILENT = HEALTHY.with_(ThreadLooks((ProcessLooks(4711, (), "no dump within 2 s", silent=True),)))


def looking(*threads: Thread, kind: str = "kiqdoctor", count: int = 3, **known: object) -> Snapshot:
    """So many looks at these threads of the healthy host's worker."""
    looks = tuple(replace(one, threads=threads, **known) for one in LOOKS[:count])  # type: ignore[arg-type]
    local = LocalProcesses("web-1", (replace(LOCAL, kind=kind),))
    return HEALTHY.with_(local, ThreadLooks((ProcessLooks(4711, looks),)))
