"""What this host has to look into a process with, living or dead."""

import os
import shutil
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.host import Debugging
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.files import read
from kiqdoctor.text import clean
from kiqdoctor.wire.numbers import whole

PTRACE: Final = 19  # the bit of CAP_SYS_PTRACE
PROGRAMS: Final = ("gdb", "rbspy", "eu-stack")


@probe(
    Read("/proc/sys/kernel/core_pattern, yama/ptrace_scope", "", "two small files"),
    Read("/proc/self/status", "", "our own capabilities"),
    lane=Lane.HOST,
)
def debugging(host: Host) -> Debugging:
    """No program is run: whether one is there is all that counts."""
    pattern = read(host.proc / "sys/kernel/core_pattern")
    if pattern is None:
        raise RefusalError(f"{host.proc}/sys/kernel/core_pattern cannot be read", "a Linux host with /proc mounted")
    scope = read(host.proc / "sys/kernel/yama/ptrace_scope")
    return Debugging(
        core_pattern=clean(pattern.decode("utf-8", "replace").strip()),
        ptrace_scope=whole(scope.strip()) if scope else None,
        privileged=bool(_capabilities(host.proc) >> PTRACE & 1),
        uid=os.geteuid(),
        tools=tuple(name for name in PROGRAMS if shutil.which(name)) + (("py-spy",) if _py_spy() else ()),
    )


def _capabilities(proc: Path) -> int:
    for line in (read(proc / "self/status") or b"").splitlines():
        if line.startswith(b"CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _py_spy() -> bool:
    """It comes with us; beside the interpreter, or on the way that programs are found."""
    import sys

    return (Path(sys.executable).parent / "py-spy").exists() or shutil.which("py-spy") is not None
