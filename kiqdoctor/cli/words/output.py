"""Where reports go: rendered in one of the formats, to standard output or whole into a file."""

import os
import sys
from contextlib import suppress
from pathlib import Path

import click

from kiqdoctor.cli import streams
from kiqdoctor.cli.words import formats
from kiqdoctor.doctor.report import Report
from kiqdoctor.render.formats import NAMES
from kiqdoctor.render.ground import HERE, MANIFESTS, Ground
from kiqdoctor.render.view import Profile, View
from kiqdoctor.saving import save
from kiqdoctor.text import clean


def further(text: str) -> tuple[str, Path]:
    """``FORMAT=FILE`` of ``--report``."""
    form, separator, file = text.partition("=")
    if not separator or form not in formats.known() or not file:
        raise click.UsageError(f"--report takes FORMAT=FILE with one of {', '.join(NAMES)}, not {text!r}")
    return form, Path(file)


def rendered(report: Report, form: str, *, colour: bool = False, verbose: bool = False, width: int = 0) -> str:
    """The report in one of the formats, for who reads it here."""
    profile = Profile.GITHUB if os.environ.get("GITHUB_ACTIONS") else Profile.FINDINGS
    return formats.rendered(report, form, View(colour, verbose, _ground(report), profile, width))


def _ground(report: Report) -> Ground:
    """Paths as the repository has them, and the file that stands for the application."""
    try:
        home = Path(report.target.path or ".").resolve()
        top = next((one for one in (home, *home.parents) if (one / ".git").exists()), home)
        anchor = next((name for name in MANIFESTS if (home / name).is_file()), MANIFESTS[0])
    except (OSError, ValueError):  # a recording may name a path that cannot be one here
        return HERE
    return Ground("" if home == top else home.relative_to(top).as_posix(), anchor)


def write(text: str, file: Path | None, *, armed: bool = False) -> None:
    """To the file, atomically, or to standard output; a reader that left early, or never was, is no error of ours.

    ``armed``: it is meant to command a CI system.
    """
    if file is None:
        with suppress(streams.ReaderLeftError):
            streams.write(text, armed=armed)
        return
    try:
        save(file, text.encode("utf-8", "backslashreplace"))
    except OSError as error:
        raise click.UsageError(f"cannot write {clean(str(file))}: {error.strerror}") from None


def width() -> int:
    """Columns of the terminal that standard output is; 0 where it is none."""
    if sys.stdout is None or not sys.stdout.isatty():
        return 0
    from shutil import get_terminal_size

    return get_terminal_size().columns


def colour() -> bool:
    """Whether standard output is a terminal that wants colour."""
    return (
        sys.stdout is not None
        and sys.stdout.isatty()
        and "NO_COLOR" not in os.environ
        and os.environ.get("TERM") != "dumb"
    )
