"""``kiqdoctor top``: the live view, on a terminal, in a browser, as plain text, or of recordings."""

import os
import sys
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from kiqdoctor.answering import LOOPBACK, BindError, netloc, parse_bind, stays_here
from kiqdoctor.cli.words import options as words
from kiqdoctor.cli.words.configured import Configured

if TYPE_CHECKING:
    from kiqdoctor.examining.living import Live
    from kiqdoctor.top.feed import Recorded

PORT: Final = 7434
_FOLDER = click.Path(exists=True, file_okay=False, writable=True, path_type=Path)


@click.command("top", cls=Configured)
@words.examination
@click.option(
    "--interval",
    metavar="SECONDS",
    type=click.FloatRange(0.2),
    default=1.0,
    show_default=True,
    help="Between two readings.",
)
@click.option(
    "--examine",
    "examine_every",
    metavar="SECONDS",
    type=click.FloatRange(1),
    default=15.0,
    show_default=True,
    help="Between two examinations; more where one is slow.",
)
@click.option("--read-only", is_flag=True, help="Offer nothing that changes anything; the default where Redis refuses.")
@click.option(
    "--replay",
    "recordings",
    metavar="DIR",
    type=click.Path(exists=True, path_type=Path),
    help="Play the recordings in DIR in place of a Redis.",
)
@click.option("--save-to", metavar="DIR", type=_FOLDER, default=Path(), help="Where snapshots and pictures go.")
@click.option("--light", is_flag=True, help="Light colours.")
@click.option(
    "--plain", is_flag=True, help="Lines of text, for a screen reader or a pipe: first all, then what changes."
)
@click.option("--count", metavar="N", type=click.IntRange(1), help="End --plain after N readings.")
@click.option(
    "--for-browsers", is_flag=True, hidden=True
)  # how --serve starts one: nothing is written, none attached to
@click.option("--serve", is_flag=True, help="Serve the screen to browsers, read-only; without any authentication.")
@click.option(
    "--listen",
    metavar="[HOST:]PORT",
    default=f"{LOOPBACK}:{PORT}",
    show_default=True,
    help="Where --serve listens; without a host on loopback.",
)
def command(*, serve: bool, listen: str, plain: bool, **rest: Any) -> int:
    """Watch an installation: its numbers, processes, jobs and threads, and what the doctor finds, every second."""
    if serve and plain:
        raise click.UsageError("--serve and --plain exclude each other")
    if rest["recordings"] and rest["redis"]:
        raise click.UsageError("--replay and --redis exclude each other")
    if serve:
        return _served(listen)
    from kiqdoctor.examining.living import opened

    asked = words.read(rest)
    if rest["path"] is None and not asked.static:
        asked = replace(asked, path=None, live=True)  # what reads files is not read every few seconds unasked
    with ExitStack() as stack:
        source = opened(
            asked,
            stack,
            recordings=rest["recordings"],
            read_only=rest["read_only"],
            from_outside=not rest["for_browsers"],
        )
        if not plain and not os.environ.get("TEXTUAL_DRIVER") and not _terminal():
            raise click.UsageError("top needs a terminal; --plain prints lines, and `kiqdoctor check` a report")
        return _plain(source, rest) if plain else _screen(source, rest)


def _terminal() -> bool:
    """Textual reads standard input, and draws on standard error."""
    return sys.stdin.isatty() and sys.__stderr__ is not None and sys.__stderr__.isatty()


def _screen(source: "Live | Recorded", rest: dict[str, Any]) -> int:
    os.environ.setdefault("TEXTUAL_ANIMATIONS", "none")
    from kiqdoctor.top.app import Top
    from kiqdoctor.top.feed import Recorded, Writing

    app = Top(
        source,
        interval=rest["interval"],
        examine_every=rest["examine_every"],
        writing=Writing if isinstance(source, Recorded) else source.writing,
        folder=None if rest["for_browsers"] else rest["save_to"],
        light=rest["light"],
    )
    app.run()
    return app.return_code or 0


def _plain(source: "Live | Recorded", rest: dict[str, Any]) -> int:
    from kiqdoctor.top.feed import Recorded
    from kiqdoctor.top.plain import watch

    if isinstance(source, Recorded):
        raise click.UsageError("--plain follows a Redis; `kiqdoctor check --replay FILE` prints a recording's report")
    watch(source, click.echo, interval=rest["interval"], examine_every=rest["examine_every"], count=rest["count"])
    return 0


def _served(listen: str) -> int:
    """The same words again, read-only, once for each browser that comes."""
    try:
        host, port = parse_bind(listen)
    except BindError as error:
        raise click.UsageError(f"--listen: {error}") from None
    try:
        from kiqdoctor.top.browsers import serve
    except ImportError:
        raise click.UsageError("--serve needs textual-serve: pip install 'kiqdoctor[browser]'") from None
    if not stays_here(host):
        click.echo(f"kiqdoctor top: other hosts can read all of this at {netloc(host, port)}", err=True)
    try:
        serve(host, port, [word for word in sys.argv[1:] if word != "--serve"])
    except OSError as error:
        raise click.UsageError(f"cannot listen on {netloc(host, port)}: {error.strerror or error}") from None
    return 0
