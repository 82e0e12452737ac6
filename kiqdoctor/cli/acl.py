"""``kiqdoctor acl``: the smallest ACL rule for the checks that are selected."""

import json
from typing import Any

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.examining.examination import prepared, smallest


@click.command("acl", cls=Configured)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@words.examination
def command(*, form: str, **rest: Any) -> int:
    """Print what a Redis user may do at least for the selected checks: ACL SETUSER NAME >PASSWORD and this line."""
    asked = words.read(rest)
    plan = prepared(asked).plan
    line = smallest(plan, asked)
    if form == "json":
        checks = [check.id for check in plan.checks]
        click.echo(json.dumps({"schema": "kiqdoctor.acl/1", "rule": line, "checks": checks}, indent=2))
    else:
        click.echo(line)
    return 0
