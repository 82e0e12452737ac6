"""``kiqdoctor explain``: a check's own page."""

import json
from dataclasses import asdict
from pathlib import Path
from shutil import get_terminal_size
from typing import Final

import click
from click.shell_completion import CompletionItem

from kiqdoctor.cli.words.named import named
from kiqdoctor.doctor.page import page
from kiqdoctor.examining.parts import every_check, every_probe
from kiqdoctor.render.page import markdown, plain

WIDEST: Final = 100  # columns that prose fills


def _words(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG001
    """For the shell's completion: ids and names."""
    words = [(word, check.title) for check in every_check() for word in (check.id, check.name)]
    return [CompletionItem(word, help=title) for word, title in words if word.lower().startswith(incomplete.lower())]


@click.command("explain")
@click.argument("name", metavar="CHECK", shell_complete=_words)
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
@click.option("--checks", metavar="DIR", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def command(name: str, form: str, checks: tuple[Path, ...]) -> None:
    """Why a check matters, how it is found, how to fix it, what it reads, its numbers, its source."""
    found = every_check(checks)
    chosen = page(named(found, name), found, every_probe())
    if form == "json":
        click.echo(json.dumps(asdict(chosen), indent=2))
    elif form == "markdown":
        click.echo(markdown(chosen), nl=False)
    else:
        click.echo(plain(chosen, min(WIDEST, get_terminal_size((WIDEST, 24)).columns)), nl=False)
