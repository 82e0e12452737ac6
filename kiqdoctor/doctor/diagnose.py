"""Judge facts by one check, called by its id or name: how tests, of our checks and of packs, put a check to work."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.examine import examine
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.report import Result
from kiqdoctor.doctor.snapshot import Snapshot


@cache
def _checks(folders: tuple[Path, ...]) -> tuple[Check, ...]:
    return load(folders)


def _chosen(check: str, folders: Sequence[Path]) -> Check:
    chosen = [one for one in _checks(tuple(folders)) if check in {one.id, one.name}]
    if not chosen:
        raise LookupError(f"no check is called {check!r}")
    return chosen[0]


def diagnose(check: str, snapshot: Snapshot, folders: Sequence[Path] = ()) -> Result:
    """The check's result on these facts.

    Raises:
        LookupError: no check has this id or name.
    """
    [result] = examine([_chosen(check, folders)], snapshot, SYSTEM)
    return result
