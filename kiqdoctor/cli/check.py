"""``kiqdoctor check``: examine a Redis, this host's workers and the application, print the report."""

from pathlib import Path
from typing import Any

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.cli.words.formats import COMMANDING, DEFAULT
from kiqdoctor.cli.words.output import colour, further, rendered, width, write
from kiqdoctor.doctor.plan import Plan
from kiqdoctor.examining.examination import examination, prepared


@click.command("check", cls=Configured)
@words.examination
@words.judgement
@words.rendering
@words.of_check
def command(
    *, only_plan: bool, form: str | None, output: Path | None, reports: tuple[str, ...], verbose: bool, **rest: Any
) -> int:
    """Examine a Redis, this host's workers and the application at PATH."""
    asked = words.read(rest)
    if only_plan:
        click.echo(spelt(prepared(asked).plan, asked.window_s), nl=False)
        return 0
    others = [further(text) for text in reports]
    report = examination(asked)
    chosen = form or DEFAULT
    here = output is None
    shown = rendered(report, chosen, colour=here and colour(), verbose=verbose, width=width() if here else 0)
    write(shown, output, armed=chosen in COMMANDING)
    for other, file in others:
        write(rendered(report, other, verbose=verbose), file)
    return report.exit_status


def spelt(plan: Plan, window_s: float = 0.0) -> str:
    """Every read of a plan: what, by which probe, its permission and cost; then the smallest ACL rule for it."""
    rows = [
        (read.what, probe.name, read.permission or "-", read.cost or "-")
        for probe in plan.probes
        for read in probe.reads
    ]
    widths = [max(len(row[column]) for row in [("read", "probe", "permission", "cost"), *rows]) for column in range(4)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [("read", "probe", "permission", "cost"), *rows]
    ]
    rules = dict.fromkeys(rule for probe in plan.probes for rule in probe.permissions if rule.startswith("+"))
    checks = f"{len(plan.checks)} checks: {', '.join(check.id for check in plan.checks)}"
    acl = f"smallest ACL: on ~* {' '.join(('+ping', *rules))}"
    again = [f"again and again for {window_s:g} s: {', '.join(one.name for one in plan.again)}"]
    return "\n".join([*lines, "", checks, *(again if window_s and plan.again else ()), acl, "Nothing was read.", ""])
