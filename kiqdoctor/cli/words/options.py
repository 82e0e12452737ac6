"""The words that ``check``, ``gate``, ``record``, ``serve`` and ``top`` share, read into what was asked for."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from kiqdoctor.cli.words import configured, flags
from kiqdoctor.cli.words.formats import DEFAULT, Form
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.configuration import NO_CONFIGURATION
from kiqdoctor.examining.errors import AskedError

Command = TypeVar("Command", bound=Callable[..., Any])

MARKERS = ("pyproject.toml", "setup.cfg", "Gemfile", "config/sidekiq.yml")


def examination(command: Command) -> Command:
    """What is examined: shared by check, gate and record."""
    for option in reversed(_EXAMINATION):
        command = option(command)
    return command


def rendering(command: Command) -> Command:
    """How it is shown: shared by check and gate."""
    for option in reversed(_RENDERING):
        command = option(command)
    return command


def judgement(command: Command) -> Command:
    """What counts: shared by check and gate."""
    for option in reversed(_JUDGEMENT):
        command = option(command)
    return command


_NEW = click.Path(dir_okay=False, path_type=Path)
_shown = partial(click.option, cls=flags.Setting)
_EXAMINATION = (
    click.argument("path", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path)),
    *(one.option() for one in flags.WORDS if not one.flag.judges),
    *configured.OPTIONS,
)
_JUDGEMENT = tuple(one.option() for one in flags.WORDS if one.flag.judges)
_RENDERING = (
    _shown("--format", "form", type=Form(), default=None, help=f"How to print it (default: {DEFAULT}).", by_hand=False),
    _shown("--output", metavar="FILE", type=_NEW, help="Write it there.", by_hand=True),
    _shown(
        "--report", "reports", metavar="F=FILE", multiple=True, help="A further report in the same run.", by_hand=True
    ),
    _shown("--verbose", "-v", is_flag=True, help="Show what passed and what does not apply, too.", by_hand=False),
)


def read(given: Mapping[str, Any]) -> Asked:
    """What was asked for, from click's parameters.

    Raises:
        AskedError: words that exclude or need each other.
    """
    asked = flags.values(given)
    if asked.get("new_only") and not asked.get("baseline"):
        raise AskedError("--new-only needs --baseline FILE: what is new is what it does not name")
    asked["namespace"] = (asked["namespace"] or "").rstrip(":") or None
    configuration = given.get("configuration", NO_CONFIGURATION)
    return Asked(
        path=given.get("path") or _here(), configured_redis=configuration.redis, configuration=configuration, **asked
    )


def _here() -> Path | None:
    """The current directory, if it looks like an application."""
    here = Path()
    marked = any((here / name).is_file() for name in MARKERS) or any(here.glob("requirements*.txt"))
    return here if marked else None
