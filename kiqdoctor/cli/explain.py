"""``kiqdoctor explain``: a check's own page."""

from difflib import get_close_matches
from pathlib import Path

import click

from kiqdoctor.cli.examination import every_check
from kiqdoctor.doctor import probes
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.plan import plan, sides


@click.command("explain")
@click.argument("name", metavar="CHECK")
@click.option("--checks", metavar="DIR", multiple=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
def command(name: str, checks: tuple[Path, ...]) -> None:
    """Why a check matters, how it is found, how to fix it, its source."""
    found = every_check(checks)
    chosen = next((check for check in found if name.upper() == check.id or name == check.name), None)
    if chosen is None:
        names = [word for check in found for word in (check.id, check.name)]
        near = get_close_matches(name, names, n=1) or get_close_matches(name.upper(), names, n=1)
        hint = f"; did you mean {near[0]}?" if near else "; see `kiqdoctor list`"
        raise click.UsageError(f"no check is called {name!r}{hint}")
    click.echo(page(chosen))


def page(check: Check) -> str:
    """The docstring, with what the check itself says about its needs."""
    readers = probes.every()
    side = sides(check, readers)
    wanted = plan([check], readers)
    halves = " and ".join(half for half, yes in (("live", side.live), ("static", side.static)) if yes)
    head = f"{check.id} {check.name} · {check.severity.value} · {check.category} · {halves}"
    reads = [
        f"- {read.what}" + (f" ({read.permission})" if read.permission else "")
        for probe in wanted.probes
        for read in probe.reads
    ]
    needs = "\n".join(dict.fromkeys(reads)) or "- nothing beyond the connection itself"
    return f"{head}\n\n{check.page}\n\n## What it reads\n{needs}"
