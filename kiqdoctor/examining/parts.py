"""What an examination is made of: every check and every probe, ours and the plug-ins'; and a check's page."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kiqdoctor import probes
from kiqdoctor.doctor import pack, plugins
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.probe import Probe
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.loading import uncollected

if TYPE_CHECKING:
    from kiqdoctor.doctor.page import Page


def every_probe() -> tuple[Probe, ...]:
    """Ours and the plug-ins', ordered by their facts."""
    with uncollected():
        return plugins.probes_beside(probes.every())[0]


def every_check(folders: Sequence[Path] = ()) -> tuple[Check, ...]:
    """Ours, the plug-ins' and those of further folders, ordered by id; what is broken of others is there, unknown.

    Raises:
        AskedError: one of our own cannot be read.
    """
    try:
        with uncollected():
            return pack.load(folders, plugins.probes_beside(probes.every())[1])
    except pack.PackError as error:
        raise AskedError(str(error)) from None


def page_of(check: str, folders: Sequence[Path] = ()) -> "Page":
    """The page of the check with this id or name, which says in ``gaps`` what is missing in it.

    Raises:
        LookupError: no check has this id or name.
    """
    from kiqdoctor.doctor.page import page  # what no examination needs

    checks = every_check(folders)
    chosen = next((one for one in checks if check in {one.id, one.name}), None)
    if chosen is None:
        raise LookupError(f"no check is called {check!r}")
    return page(chosen, checks, every_probe())
