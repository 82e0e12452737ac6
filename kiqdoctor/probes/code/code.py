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
MANY: Final = 0.1
"""What part of all source files may be unread before nobody knows that there are no jobs."""
SILENT: Final = frozenset({"kiqdoctor", "django_tasks"})
"""Locked by those, too, who only want to be examined, or whose content system brings it along."""


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def code(tree: Tree, packages: Packages | Missing = NOTHING) -> Code:
    """The table that all sites point into; blind where nobody knows that there are no jobs."""
    from kiqdoctor.probes.code.index import indexed

    found = indexed(tree).code
    blind = (_blind(found, packages) if isinstance(packages, Packages) else "") or _unread(found)
    return replace(found, blind=blind) if blind else found


def _unread(code: Code) -> str:
    """How many files nobody could read, where there is no job in the others and they are many."""
    if code.jobs or len(code.unparsed) <= MANY * (code.files + len(code.unparsed)):
        return ""
    path, reason = code.unparsed[0]
    many = f"{len(code.unparsed)} source files" if len(code.unparsed) > 1 else "a source file"
    return f"{many} could not be read, and no job was recognised in the others; the first is {path}: {reason}"


def _blind(code: Code, packages: Packages) -> str:
    """Which libraries are locked in whose language there is no job."""
    spoken = {code.functions[job.function].language for job in code.jobs}
    idle = [library for language, library in libraries(packages) if language not in spoken and library not in SILENT]
    names = ", ".join(dict.fromkeys(idle))
    return f"{names} {'are' if ',' in names else 'is'} locked, and no job was recognised" if names else ""
