"""``kiqdoctor whatif``: what another number of threads or processes would do."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.examining.whatif import Outlook

SCHEMA: Final = "kiqdoctor.whatif/1"
SIMULATED: Final = "simulated: queues drained by their order and weights, with durations and arrivals as recorded"
FORMULA: Final = (
    "by formula, not simulated: (jobs that wait) / (jobs a second that threads can do, less those that come)"
)
MOST_THREADS: Final = 100_000
MOST_PROCESSES: Final = 100_000


@click.command("whatif", cls=Configured)
@click.option("--concurrency", metavar="N", type=click.IntRange(1, MOST_THREADS), help="Threads of each process.")
@click.option("--processes", metavar="N", type=click.IntRange(0, MOST_PROCESSES), help="Processes in all.")
@click.option("--retry-all", is_flag=True, help="Every job of retry is put into its queue.")
@click.option("--kill", metavar="HOST", multiple=True, help="The processes of this host are gone; repeatable.")
@click.option(
    "--replay",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="From a recording in place of a Redis.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@words.examination
def command(
    *,
    concurrency: int | None,
    processes: int | None,
    retry_all: bool,
    kill: tuple[str, ...],
    replay: Path | None,
    form: str,
    **rest: Any,
) -> int:
    """Say whether connections and pools would do, and how long the queues would take.

    Exit status 0: it fits. 1: it does not. 3: it cannot be told.
    """
    from kiqdoctor.doctor.whatif import Change
    from kiqdoctor.examining.whatif import whatif

    if replay and rest["redis"]:
        raise click.UsageError("--replay and --redis exclude each other")
    asked = replace(words.read(rest), replay=replay)
    found = whatif(Change(concurrency, processes, retry_all, kill), asked)
    click.echo(json.dumps(_document(found), indent=2) if form == "json" else "\n".join(_lines(found)))
    return found.status


def _document(found: "Outlook") -> dict[str, Any]:
    change, back = found.change, found.forecast.backtest
    return {
        "schema": SCHEMA,
        "changes": {
            "concurrency": change.concurrency,
            "processes": change.processes,
            "retry_all": change.retry_all,
            "kill": [clean(one) for one in change.kill],
        },
        "queues": [
            {"queue": clean(one.queue), "drain_s": one.drain_s, "reason": clean(one.why) or None}
            for one in found.forecast.queues
        ],
        "pools": [
            {"pool": clean(one.name), "peak": one.peak, "limit": one.limit, "reason": clean(one.why) or None}
            for one in found.pools
        ],
        "unknown": [clean(found.unread)] if found.unread else [],
        "basis": "simulated" if found.forecast.simulated else "formula",
        "backtest": back and {"predicted": back.predicted, "measured": back.measured, "error": back.error},
    }


def _lines(found: "Outlook") -> Iterator[str]:
    for pool in found.pools:
        known = pool.peak is not None and pool.limit is not None
        yield f"{clean(pool.name)}: {pool.peak} of {pool.limit}" if known else f"{clean(pool.name)}: {clean(pool.why)}"
    for one in found.forecast.queues:
        said = f"empty in {one.drain_s:.0f} s" if one.drain_s is not None else f"cannot be told: {clean(one.why)}"
        yield f"queue {clean(one.queue)}: " + (f"never empty: {clean(one.why)}" if one.never else said)
    if found.unread:
        yield f"queues cannot be told: {clean(found.unread)}"
    yield SIMULATED if found.forecast.simulated else FORMULA
    back = found.forecast.backtest
    yield (
        f"backtest: {back.predicted:.0f} jobs foretold, {back.measured:.0f} measured, {back.error:.0%} off"
        if back
        else "no backtest: no window of three readings was recorded (--for SECONDS)"
    )
    yield {0: "it fits", 1: "it does not fit", 3: "it cannot be told"}[found.status]
