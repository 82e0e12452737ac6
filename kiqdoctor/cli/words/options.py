"""The options that commands share, and those of ``check`` and ``gate``, which a file or a variable may set too."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from kiqdoctor.cli.words import flags
from kiqdoctor.cli.words.formats import DEFAULT, FormatName
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.configuration import NO_CONFIGURATION
from kiqdoctor.examining.errors import AskedError

Command = TypeVar("Command", bound=Callable[..., Any])
Option = Callable[[Any], Any]

MARKERS = ("pyproject.toml", "setup.cfg", "Gemfile", "config/sidekiq.yml")
REDIS = "redis"
_FILE = click.Path(dir_okay=False, path_type=Path)
_setting = partial(click.option, cls=flags.Setting)


class _Options:
    """Decorates a command with options, in their order."""

    def __init__(self, *options: Option) -> None:
        self._options = options

    def __call__(self, command: Command) -> Command:
        for option in reversed(self._options):
            command = option(command)
        return command


configuration = _Options(
    click.option(
        "--config",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="The configuration; else kiqdoctor.toml, else [tool.kiqdoctor] in pyproject.toml.",
    ),
    click.option("--isolated", is_flag=True, help="Read no configuration file."),
)
"""Where the other options may stand too."""
_path = click.argument("path", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
examination = _Options(_path, *(one.option() for one in flags.FLAGS if not one.flag.judges), configuration)
"""What is examined: of record, serve, top and acl."""
examinations = _Options(
    _path, *(one.option(several=one.field == REDIS) for one in flags.FLAGS if not one.flag.judges), configuration
)
"""The same of several Redis in one report: of check and gate."""
judgement = _Options(*(one.option() for one in flags.FLAGS if one.flag.judges))
"""What counts: of check, gate and serve."""
rendering = _Options(
    _setting(
        "--format",
        "form",
        type=FormatName(),
        default=None,
        help=f"How to print it (default: {DEFAULT}).",
        by_hand=False,
    ),
    _setting("--output", metavar="FILE", type=_FILE, help="Write it there.", by_hand=True),
    _setting(
        "--report", "reports", metavar="F=FILE", multiple=True, help="A further report in the same run.", by_hand=True
    ),
    _setting("--verbose", "-v", is_flag=True, help="Show what passed and what does not apply, too.", by_hand=False),
)
"""How it is shown: of check and gate."""
of_check = _Options(
    _setting("--plan", "only_plan", is_flag=True, help="Print every read that would be made, and stop.", by_hand=True),
)
of_gate = _Options(
    _setting(
        "--wait",
        metavar="SECONDS",
        type=flags.Number(0),
        default=0.0,
        help="Examine again until it is green.",
        by_hand=False,
    ),
    _setting("--nagios", is_flag=True, help="Speak the plug-in protocol, with its statuses 0 to 3.", by_hand=True),
)


@click.command()
@examination
@judgement
@rendering
@of_check
@of_gate
def _every(**_words: object) -> None:
    """Never called: it holds what may stand in a file or a variable."""


def every() -> tuple[click.Parameter, ...]:
    """Each option of check and gate."""
    return tuple(_every.params)


def read(given: Mapping[str, Any]) -> Asked:
    """What was asked for, from click's parameters.

    Raises:
        AskedError: words that exclude or need each other.
    """
    named = given.get(REDIS)
    first, *shards = (named if isinstance(named, tuple) else (named,)) or (None,)
    asked = flags.values({**given, REDIS: first})
    if asked.get("new_only") and not asked.get("baseline"):
        raise AskedError("--new-only needs --baseline FILE: what is new is what it does not name")
    asked["namespace"] = (asked["namespace"] or "").rstrip(":") or None
    found = given.get("configuration", NO_CONFIGURATION)
    path = given.get("path")
    return Asked(
        path or _here(),
        named=bool(path),
        configured_redis=found.redis,
        configuration=found,
        shards=tuple(shards),
        **asked,
    )


def _here() -> Path | None:
    """The current directory, if it looks like an application."""
    here = Path()
    marked = any((here / name).is_file() for name in MARKERS) or any(here.glob("requirements*.txt"))
    return here if marked else None
