"""A Ruby worker's threads, by its own dump in its log."""

from pathlib import Path

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.facts.threads import Threads
from kiqdoctor.doctor.hanging import diagnosed
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.examining.looking import Looked
from kiqdoctor.probes.threads.tasks import state
from kiqdoctor.probes.threads.ttin import dumps


def of_ruby(pid: int, proc: Path) -> Looked:
    """What keeps it from writing a dump, or us from reading it, is told; that it is stopped is a diagnosis."""
    try:
        found = dumps(pid, proc)
    except RefusalError as error:
        refused = error.refused
        nothing = Threads(str(pid), SYSTEM.now(), "TTIN", state=state(pid, proc))
        said = "; ".join(filter(None, (refused.reason, refused.unlock)))
        return Looked(nothing, diagnosed((nothing,)), "ttin", said)
    return Looked(found[-1], diagnosed(found), "ttin")
