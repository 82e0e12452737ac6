"""``kiqdoctor check``: examine a Redis, this host's workers and the application, print the report."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.cli.words.formats import COMMANDING, DEFAULT
from kiqdoctor.cli.words.output import colour, further, rendered, width, write
from kiqdoctor.doctor.plan import Plan
from kiqdoctor.doctor.probe import Probe
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.examination import prepared, reads_redis, smallest, withheld
from kiqdoctor.examining.parts import every_check
from kiqdoctor.examining.reporting import examination
from kiqdoctor.render.chain import render as chain


@click.command("check", cls=Configured)
@words.examinations
@words.judgement
@words.rendering
@words.of_check
@click.option("--why", metavar="CHECK", help="Print what explains this check's findings, and what follows from them.")
def command(
    *,
    only_plan: bool,
    why: str | None,
    form: str | None,
    output: Path | None,
    reports: tuple[str, ...],
    verbose: bool,
    **rest: Any,
) -> int:
    """Examine a Redis, this host's workers and the application at PATH."""
    asked = words.read(rest)
    if only_plan:
        click.echo(spelt(prepared(asked).plan, asked), nl=False)
        return 0
    chosen = form or DEFAULT
    if why and chosen != DEFAULT:
        raise click.UsageError(f"--why prints text; in --format {chosen} each finding names what is related")
    if why and not any(why in {check.id, check.name} for check in every_check(asked.checks)):
        raise click.UsageError(f"--why {why}: no check has this id or name; see `kiqdoctor list`")
    others = [further(text) for text in reports]
    report = examination(asked)
    here = output is None
    shown = (
        chain(report, why)
        if why
        else rendered(report, chosen, colour=here and colour(), verbose=verbose, width=width() if here else 0)
    )
    write(shown, output, armed=chosen in COMMANDING)
    for other, file in others:
        write(rendered(report, other, verbose=verbose), file)
    return report.exit_status


CONNECTING = (
    "connecting",
    "  PING, SELECT of its database: +ping; O(1)",
    "  CLIENT SETNAME, CLIENT ID: O(1); it goes on where they are refused",
)


def spelt(plan: Plan, asked: Asked) -> str:
    """Every read of a plan, with its permission and cost, below who reads it; then the smallest ACL rule for it."""
    lines = [*(CONNECTING if reads_redis(asked, plan) else ()), *_reads(plan.made(withheld(asked)))]
    checks = f"{len(plan.checks)} checks: {', '.join(check.id for check in plan.checks)}"
    rules = dict.fromkeys(smallest(plan, replace(asked, redis=one)) for one in (asked.redis, *asked.shards))
    acl = "\n".join(f"smallest ACL: {rule}" for rule in rules)
    again = [f"again and again for {asked.window_s:g} s: {', '.join(one.name for one in plan.again)}"]
    more = ", ".join(one.name for one in plan.ending if one not in plan.again)
    again += [f"once more at its end: {more}"] if more else []
    over = again if asked.window_s and plan.again else ()
    return "\n".join([*lines, "", checks, *over, acl, "Nothing was read.", ""])


def _reads(probes: Iterable[Probe]) -> Iterator[str]:
    """Probes that read the very same are one paragraph."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for one in probes:
        reads = tuple(f"{read.what}: {'; '.join(filter(None, (read.permission, read.cost)))}" for read in one.reads)
        if reads:
            alike.setdefault(reads, []).append(one.name)
    for reads, names in alike.items():
        yield ", ".join(names)
        yield from (f"  {read}" for read in reads)
