"""``kiqdoctor serve``: the report over HTTP, for an orchestrator's probes, a scraper and a status page."""

import signal
import time
from contextlib import suppress
from typing import Any, Final

import click

from kiqdoctor.answering import LOOPBACK, BindError, parse_bind, stays_here
from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured

PORT: Final = 7433
LEAST_STALE: Final = 15.0  # seconds: one slow examination is no reason
LOOK: Final = 0.2  # seconds: whether a signal came


@click.command("serve", cls=Configured)
@words.examination
@words.judgement
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    default=f"{LOOPBACK}:{PORT}",
    show_default=True,
    help="Where; without a host on loopback.",
)
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(1),
    default=30.0,
    show_default=True,
    help="Between the end of one examination and the next.",
)
@click.option(
    "--stale-after",
    metavar="SECONDS",
    type=click.FloatRange(1),
    help="A report this old is stale (default: twice the interval, and 15 at least).",
)
def command(*, listen: str, interval: float, stale_after: float | None, **rest: Any) -> int:
    """Serve /livez, /readyz, /metrics and /status.json from a report that is refreshed in the background."""
    from kiqdoctor.examining.watching import watch
    from kiqdoctor.serve import server

    stale_after_s = stale_after or max(2 * interval, LEAST_STALE)
    watched = watch(words.read(rest), interval_s=interval, stale_after_s=stale_after_s, say=_say)
    bind = _bind(listen)
    httpd = server(watched, bind, _say)
    try:
        httpd.start()
    except OSError as error:
        raise click.UsageError(f"cannot listen on {httpd.address}: {error.strerror or error}") from None
    told = _told()
    open_to = "" if stays_here(bind[0]) else ", where other hosts can read the report"
    _say(f"http://{httpd.address}{open_to}; an examination every {interval:g} s")
    watched.start()
    while not told:
        time.sleep(LOOK)
    watched.stop()
    httpd.stop()
    return 0


def _bind(text: str) -> tuple[str, int]:
    try:
        return parse_bind(text)
    except BindError as error:
        raise click.UsageError(f"--listen: {error}") from None


def _told() -> list[int]:
    """TERM and INT, as they come: a wait without an end could begin between a signal and its handler, and miss it."""
    told: list[int] = []
    with suppress(ValueError):  # not the main thread: whoever runs us there ends us too
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda number, _: told.append(number))
    return told


def _say(text: str) -> None:
    click.echo(f"kiqdoctor serve: {text}", err=True)
