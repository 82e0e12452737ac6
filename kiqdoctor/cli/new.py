"""``kiqdoctor new``: files to begin with."""

import os
from collections.abc import Mapping
from importlib.resources import files
from keyword import iskeyword
from pathlib import Path
from string import Template
from typing import Final

import click

from kiqdoctor.doctor import pack
from kiqdoctor.doctor.check import Check
from kiqdoctor.examining.parts import every_check
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

_NAME: Final = regex(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_ID: Final = regex(r"[A-Z]{3}[0-9]{3}")
_FOLDER: Final = click.Path(file_okay=False, path_type=Path)
THEIRS: Final = "OWN"  # no check of ours has this prefix


@click.group("new")
def command() -> None:
    """Write files to begin with."""


@command.command("check")
@click.argument("name")
@click.option("--id", "number", metavar="ID", help=f"Three capitals and three digits (default: the next {THEIRS}...).")
@click.option("--category", metavar="NAME", default="own", show_default=True, help="Its folder among the checks.")
@click.option("--checks", "checks", metavar="DIR", default="checks", show_default=True, type=_FOLDER)
@click.option("--tests", "tests", metavar="DIR", default="tests/checks", show_default=True, type=_FOLDER)
def check(name: str, number: str | None, category: str, checks: Path, tests: Path) -> None:
    """Write a check that works, and its tests."""
    further = (checks,) if checks.is_dir() and checks.resolve() != pack.home().resolve() else ()
    known = every_check(further)
    slug, folder = _named("NAME", name), _named("--category", category)
    words = {
        "function": slug.replace("-", "_"),
        "slug": slug.replace("_", "-"),
        "id": _number(number, known),
        "checks": Path(os.path.relpath(checks, tests / folder)).as_posix(),
    }
    if any(words["slug"] == one.name for one in known):
        raise click.UsageError(f"there is a check called {words['slug']}")
    test = tests / folder / f"test_{words['function']}.py"
    written = {checks / folder / f"{words['function']}.py": "check.py.txt", test: "test_check.py.txt"}
    for file in written:
        if file.exists():
            raise click.UsageError(f"{file} is there already")
    for file, template in written.items():
        _write(file, _filled(template, words))
    click.echo(f"\n  python -m pytest {test}\n  kiqdoctor check --checks {checks} --select {words['id']}")


def _named(what: str, text: str) -> str:
    if not _NAME.fullmatch(text) or iskeyword(text):
        raise click.UsageError(
            f"{what} must be small letters, digits and dashes, as queue-too-long, not {clean(text)!r}"
        )
    return text


def _number(number: str | None, known: tuple[Check, ...]) -> str:
    taken = {one.id: one.name for one in known}
    if number is None:
        return next(one for one in (f"{THEIRS}{count:03}" for count in range(1, 1000)) if one not in taken)
    if not _ID.fullmatch(number):
        raise click.UsageError(f"--id must be three capitals and three digits, as SHP001, not {clean(number)!r}")
    if number in taken:
        raise click.UsageError(f"--id: {number} is {taken[number]}")
    return number


def _filled(name: str, words: Mapping[str, str]) -> str:
    return Template((files("kiqdoctor.cli") / "templates" / name).read_text("utf-8")).substitute(words)


def _write(file: Path, text: str) -> None:
    """A new file; what is there is never touched."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise click.UsageError(f"{file} is there already") from None
    except OSError as error:
        raise click.UsageError(f"cannot write {file}: {error.strerror}") from None
    click.echo(f"wrote {file}")
