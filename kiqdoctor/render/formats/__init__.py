"""The formats: one file each, whose name is the format's and whose ``render(report, view)`` says it."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.report import Report
from kiqdoctor.render.view import PLAIN, View

NAMES: Final = tuple(sorted(file.stem for file in Path(__file__).parent.glob("[!_]*.py")))


def rendered(report: Report, name: str, view: View = PLAIN) -> str:
    """The report in the format of this name; no other is imported for it."""
    render: Callable[[Report, View], str] = import_module(f"{__name__}.{name}").render
    return render(report, view)
