"""``kiqdoctor record``: save what would be examined, with secrets masked, to be judged elsewhere."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.examining.reporting import examination


@click.command("record", cls=Configured)
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@words.examination
def command(file: Path, **rest: Any) -> int:
    """Save an examination to FILE; judge it with `kiqdoctor check --replay FILE`."""
    report = examination(replace(words.read(rest), record=file, fail_on=None))
    click.echo(f"recorded {report.cost.total} Redis commands' worth of facts in {file}", err=True)
    return report.exit_status
