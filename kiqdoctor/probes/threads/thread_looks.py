"""What the threads of this host's workers do, looked at several times; only where it was asked for."""

from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.threads import ProcessLooks, ThreadLooks, Threads
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.doctor.tools import Host, Settings
from kiqdoctor.probes.threads.tasks import state

MOST: Final = 50  # processes
BESIDE: Final = 4  # looked at at once


@probe(
    Read("py-spy dump --nonblocking", "the same user, or CAP_SYS_PTRACE", "30 ms a look and process, without a pause"),
    Read("kill -TTIN, its log", "the same user, or root", "of a Ruby Sidekiq that catches it: two dumps in its log"),
    lane=Lane.HOST,
    deadline_s=60.0,
)
def thread_looks(host: Host, local: LocalProcesses, settings: Settings) -> ThreadLooks:
    """Each worker on its own, several side by side."""
    if not settings.deep:
        raise AbsenceError("threads are looked at with --deep only: it touches processes")
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(BESIDE) as pool:
        return ThreadLooks(tuple(pool.map(lambda one: _looked(one, host.proc), local.all[:MOST])))


def _looked(worker: LocalProcess, proc: Path) -> ProcessLooks:
    from kiqdoctor.probes.threads.looks import PAUSED, looks
    from kiqdoctor.probes.threads.ttin import SilentError, dumps

    now = state(worker.pid, proc)
    if worker.kind == "sidekiq" and now not in PAUSED:
        try:
            return ProcessLooks(worker.pid, dumps(worker.pid, proc))
        except RefusalError as error:
            refused, silent = error.refused, isinstance(error, SilentError)
            return ProcessLooks(worker.pid, (), refused.reason, refused.unlock, silent)
    if worker.kind == "kiqdoctor":
        found = looks(worker.pid, proc)
        if not isinstance(found, Refused):
            return ProcessLooks(worker.pid, found)
        if now not in PAUSED:
            return ProcessLooks(worker.pid, (), found.reason, found.unlock)
    if now in PAUSED:
        return ProcessLooks(worker.pid, (Threads(str(worker.pid), 0.0, "/proc", state=now),))
    return ProcessLooks(worker.pid, (), f"threads of {worker.kind} cannot be read", f"kiqdoctor dump {worker.pid}")
