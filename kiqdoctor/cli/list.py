"""``kiqdoctor list``: every check."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.plan import halves, plan, sides
from kiqdoctor.doctor.probe import Probe
from kiqdoctor.examining.parts import every_check, every_probe


@click.command("list")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--checks", metavar="DIR", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def command(form: str, checks: tuple[Path, ...]) -> None:
    """Every check: id, name, severity, category, what it needs."""
    readers = every_probe()
    kinds = halves(readers)
    rows = [row(check, readers, kinds) for check in every_check(checks)]
    if form == "json":
        click.echo(json.dumps(rows, indent=2))
        return
    for one in rows:
        judged = "+".join(half for half in ("live", "static") if one[half])
        preview = " (preview)" if one["preview"] else ""
        click.echo(f"{one['check']}  {one['name']:<30} {one['severity']:<9} {one['category']:<14} {judged}{preview}")


def row(check: Check, readers: tuple[Probe, ...], kinds: Mapping[type, bool]) -> dict[str, Any]:
    """One check as CONTRACT.md's ``list --format json`` has it."""
    side = sides(check, kinds)
    permissions = dict.fromkeys(
        rule for probe in plan([check], readers).probes for rule in probe.permissions if rule.startswith("+")
    )
    return {
        "check": check.id,
        "name": check.name,
        "severity": check.severity.value,
        "category": check.category,
        "preview": check.preview,
        "live": side.live,
        "static": side.static,
        "facts": [need.kind.__name__ for need in check.needs],
        "permissions": list(permissions),
    }
