"""The words of ``check``, ``gate`` and ``record`` as one frozen record; whatever is wrong with them is said here."""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import click

from kiqdoctor.cli.words import configured
from kiqdoctor.cli.words.formats import Form
from kiqdoctor.doctor.verdict import Severity
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.configuration import NO_CONFIGURATION

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


_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
_ANY_PATH = click.Path(exists=True, path_type=Path)
_EXAMINATION = (
    click.argument("path", required=False, type=_DIRECTORY),
    click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address to examine."),
    click.option("--namespace", metavar="NAME", help="Examine the keys under NAME: instead of the unprefixed ones."),
    click.option("--redis-limit", metavar="N", type=click.IntRange(1), help="The plan's client limit."),
    click.option("--python", metavar="PATH", type=_ANY_PATH, help="The interpreter or environment to examine."),
    click.option("--checks", metavar="DIR", multiple=True, type=_DIRECTORY, help="A further folder of checks."),
    click.option("--embedded", is_flag=True, help="Start the embedded Redis and examine that."),
    click.option("--select", metavar="S", multiple=True, help="Only these: id, prefix, name or category; comma lists."),
    click.option("--ignore", metavar="S", multiple=True, help="All but these."),
    click.option("--static", is_flag=True, help="Only what reads files."),
    click.option("--live", is_flag=True, help="Only what reads Redis and processes."),
    click.option("--for", "window", metavar="SECONDS", type=click.FloatRange(0), default=0.0, help="Sample that long."),
    click.option(
        "--baseline-run",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="An earlier recording counts as the first sample.",
    ),
    click.option("--show-args", is_flag=True, help="Show job arguments (masked by default)."),
    *configured.OPTIONS,
)
FORMATS = ("text", "json", "sarif", "junit", "github", "gitlab", "prometheus", "html", "markdown")
_RENDERING = (
    click.option("--format", "form", type=Form(FORMATS), default=None, help="How to print it (default: text)."),
    click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Write it there."),
    click.option("--report", "reports", metavar="F=FILE", multiple=True, help="A further report in the same run."),
    click.option("--verbose", "-v", is_flag=True, help="Show what passed and what does not apply, too."),
)
_JUDGEMENT = (
    click.option(
        "--fail-on",
        type=click.Choice([*(severity.value for severity in Severity), "never"]),
        default="high",
        show_default=True,
        help="Exit 1 at or above this severity.",
    ),
    click.option("--require", metavar="S", multiple=True, help="An unknown among these makes the exit status 3."),
    click.option(
        "--baseline",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Known findings do not count.",
    ),
    click.option(
        "--write-baseline",
        metavar="FILE",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Write what was found as a baseline, or remove from an existing one what healed.",
    ),
    click.option("--allow-grow", is_flag=True, help="Let --write-baseline add new findings to an existing baseline."),
    click.option("--new-only", is_flag=True, help="Show people only what the baseline does not know."),
    click.option(
        "--record", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Save what was examined."
    ),
    click.option(
        "--replay",
        metavar="FILE",
        type=click.Path(exists=True, dir_okay=False, path_type=Path),
        help="Judge a saved examination in place of the real world.",
    ),
)


def read(words: dict[str, Any]) -> Asked:
    """The options from click's parameters.

    Raises:
        click.UsageError: words that exclude each other.
    """
    if words.get("static") and words.get("live"):
        raise click.UsageError("--static and --live exclude each other")
    if words.get("embedded") and words.get("redis"):
        raise click.UsageError("--embedded and --redis exclude each other")
    if not isfinite(words.get("window") or 0):
        raise click.UsageError("--for takes a number of seconds")
    if words.get("new_only") and not words.get("baseline"):
        raise click.UsageError("--new-only needs --baseline FILE: what is new is what it does not name")
    configuration = words.get("configuration", NO_CONFIGURATION)
    fail_on = words.get("fail_on", "high")
    return Asked(
        path=words.get("path") or _here(),
        redis=words.get("redis"),
        namespace=(words.get("namespace") or "").rstrip(":") or None,
        redis_limit=words.get("redis_limit"),
        python=words.get("python"),
        checks=tuple(words.get("checks", ())),
        embedded=bool(words.get("embedded")),
        select=_split(words.get("select", ())),
        ignore=_split(words.get("ignore", ())),
        static=bool(words.get("static")),
        live=bool(words.get("live")),
        window_s=float(words.get("window") or 0),
        baseline_run=words.get("baseline_run"),
        fail_on=None if fail_on == "never" else Severity(fail_on),
        require=_split(words.get("require", ())),
        show_args=bool(words.get("show_args")),
        baseline=words.get("baseline"),
        write_baseline=words.get("write_baseline"),
        record=words.get("record"),
        replay=words.get("replay"),
        allow_grow=bool(words.get("allow_grow")),
        new_only=bool(words.get("new_only")),
        configured_redis=configuration.redis,
        configuration=configuration,
    )


def _split(values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in value.split(",") if part.strip())


def _here() -> Path | None:
    """The current directory, if it looks like an application."""
    here = Path()
    marked = any((here / name).is_file() for name in MARKERS) or any(here.glob("requirements*.txt"))
    return here if marked else None
