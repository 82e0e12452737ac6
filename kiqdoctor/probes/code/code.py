"""The application's functions, its jobs, and the way from a job to each function that it leads to."""

from dataclasses import replace
from typing import Final

from kiqdoctor.doctor.facts.code import Code
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.doctor.snapshot import Absent, Missing
from kiqdoctor.probes.code.locked import libraries
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE
from kiqdoctor.probes.tree.tree import Tree

NOTHING: Final = Absent("nothing is locked")
SILENT: Final = frozenset({"kiqdoctor", "django_tasks"})
"""Locked by those, too, who only want to be examined, or whose content system brings it along."""


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def code(tree: Tree, packages: Packages | Missing = NOTHING) -> Code:
    """The table that all sites point into; blind where a queue library is locked and no job was recognised."""
    from kiqdoctor.probes.code.index import indexed

    found = indexed(tree).code
    blind = _blind(found, packages) if isinstance(packages, Packages) else ""
    return replace(found, blind=blind) if blind else found


def _blind(code: Code, packages: Packages) -> str:
    """Which libraries are locked in whose language there is no job."""
    spoken = {code.functions[job.function].language for job in code.jobs}
    idle = [library for language, library in libraries(packages) if language not in spoken and library not in SILENT]
    names = ", ".join(dict.fromkeys(idle))
    return f"{names} {'are' if ',' in names else 'is'} locked, and no job was recognised" if names else ""
