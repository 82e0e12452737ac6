"""``kiqdoctor check``: examine a Redis, this host's workers and the application, print the report."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from kiqdoctor.cli import options as words
from kiqdoctor.cli.examination import examination, planned
from kiqdoctor.doctor.plan import Plan
from kiqdoctor.doctor.report import Report

FORMATS = ("text", "json")


@click.command("check")
@words.examination
@words.judgement
@click.option("--plan", "only_plan", is_flag=True, help="Print every read that would be made, and stop.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--output", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--report", "reports", metavar="F=FILE", multiple=True, help="A further report in the same run.")
@click.option(
    "--record", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), help="Save what was examined."
)
@click.option("--verbose", "-v", is_flag=True, help="Show what passed and what does not apply, too.")
def command(
    *, only_plan: bool, form: str, output: Path | None, reports: tuple[str, ...], verbose: bool, **rest: Any
) -> int:
    """Examine a Redis, this host's workers and the application at PATH."""
    asked = words.read(rest)
    if only_plan:
        click.echo(spelt(planned(asked)), nl=False)
        return 0
    further = [_further(text) for text in reports]
    report = examination(asked)
    write(rendered(report, form, colour=output is None and _colour(), verbose=verbose), output)
    for other, file in further:
        write(rendered(report, other, colour=False, verbose=verbose), file)
    return report.exit_status


def _further(text: str) -> tuple[str, Path]:
    form, separator, file = text.partition("=")
    if not separator or form not in FORMATS or not file:
        raise click.UsageError(f"--report takes FORMAT=FILE with one of {', '.join(FORMATS)}, not {text!r}")
    return form, Path(file)


def rendered(report: Report, form: str, *, colour: bool, verbose: bool = False) -> str:
    """The report in one of FORMATS."""
    if form == "json":
        from kiqdoctor.render import json

        return json.render(report)
    from kiqdoctor.render import text

    return text.render(report, colour=colour, verbose=verbose)


def write(text: str, file: Path | None) -> None:
    """To the file, or to standard output; a reader that left early is no error of ours."""
    if file is None:
        try:
            sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    try:
        file.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise click.UsageError(f"cannot write {file}: {error.strerror}") from None


def _colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def spelt(plan: Plan) -> str:
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
    return "\n".join([*lines, "", checks, acl, "Nothing was read.", ""])
