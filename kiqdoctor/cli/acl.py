"""``kiqdoctor acl``: the smallest ACL rule for the checks that are selected."""

import json
from typing import Any, Final

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.doctor.acl import EVERY_KEY
from kiqdoctor.examining.examination import prepared, smallest

WIDE: Final = (
    "every key (~*): some of these checks scan all keys, or read keys whose names hold a process or a prefix;"
    " from Redis 7 on %R~* in its place lets it read alone"
)


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
        if EVERY_KEY in line.split():
            click.echo(f"kiqdoctor: {WIDE}", err=True)
    return 0
