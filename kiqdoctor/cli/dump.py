"""``kiqdoctor dump``: what every thread of one worker does now, asked for through Redis or read by py-spy."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiqdoctor.cli.words.once import Once
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.examining.looking import Looked

PID_DIGITS = 10


@click.command("dump", cls=Once)
@click.argument("target", metavar="TARGET", required=False)
@click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address that the worker uses.")
@click.option("--namespace", metavar="NAME", help="The worker's keys are under NAME:.")
@click.option("--timeout", type=click.FloatRange(0.1), default=15.0, show_default=True, help="Seconds to wait.")
@click.option(
    "--watch",
    is_flag=False,
    flag_value=math.inf,
    type=click.FloatRange(0, min_open=True),
    metavar="[SECONDS]",
    help="Look again and again, for so many seconds or until interrupted: what stands, moves, comes and goes.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--compare", nargs=2, metavar="A B", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Instead: two dumps that --format json wrote, and what moved between them.")  # fmt: skip
def command(
    *,
    target: str | None,
    redis: str | None,
    namespace: str | None,
    timeout: float,
    watch: float | None,
    form: str,
    compare: tuple[Path, Path] | None,
) -> int:
    """Show what every thread of a worker does, and what is wrong with them.

    TARGET is an identity HOST:PID:NONCE, as the process list shows it, or a pid on this host. A process of this host is
    looked at three times within a second, without being paused. Workers of kiqdoctor's own runtime are asked too, and
    answer at their next beat, within 5 seconds. A Ruby Sidekiq is sent TTIN, if it catches it, and its log is read.

    With --watch JSON is one document a line, and a process that ends is watched to its end.

    Exit status 0: shown. 3: not, or only in part; the missing permission is told.
    """
    if compare is not None:
        if watch is not None:
            raise click.UsageError("--compare reads two files, --watch a process: give one of them")
        return _compared(*compare)
    if target is None:
        raise click.UsageError("name a TARGET, before --watch: a pid, or an identity HOST:PID:NONCE")
    if watch is not None and math.isnan(watch):
        raise click.UsageError("--watch takes seconds")
    look = _looking(target, redis, namespace, timeout)
    plain = form == "json"
    return _once(target, look, plain) if watch is None else _again(target, look, watch, plain)


def _looking(target: str, redis: str | None, namespace: str | None, timeout: float) -> "Callable[[], Looked]":
    """What looks at it once.

    Raises:
        click.UsageError: the target, or the address of Redis, is none.
    """
    from kiqdoctor.connection import UrlError
    from kiqdoctor.examining.dumps import of_identity, of_pid
    from kiqdoctor.runtime import config
    from kiqdoctor.wire.heartbeat import split_identity

    by_pid = target.isascii() and target.isdigit() and len(target) <= PID_DIGITS
    if not by_pid and split_identity(target)[1] is None:
        raise click.UsageError(f"TARGET is a pid or an identity HOST:PID:NONCE, not {clean(target)!r}")
    try:
        config.configure(redis=redis, namespace=namespace)
        settings = config.current()
    except (ValueError, UrlError) as error:
        raise click.UsageError(str(error)) from None
    if by_pid:
        return lambda: of_pid(int(target), settings, timeout)
    return lambda: of_identity(target, settings, timeout)


def _once(target: str, look: "Callable[[], Looked]", plain: bool) -> int:
    from kiqdoctor.examining import dumped
    from kiqdoctor.examining.dumps import UnansweredError

    try:
        found = look()
    except UnansweredError as error:
        return _missing(str(error))
    click.echo(
        json.dumps(dumped.document(target, found), indent=2) if plain else "\n".join(dumped.lines(target, found))
    )
    return _missing(found.partial) if found.partial else 0


def _again(target: str, look: "Callable[[], Looked]", seconds: float, plain: bool) -> int:
    """Each look as it comes; 3 where one of them was missing something."""
    from kiqdoctor.examining import watched

    status = 0
    for sample in watched.samples(target, look, seconds):
        if isinstance(sample, watched.Missed):
            code = _missing(sample.why)
            status = code if sample.partial else status
            continue
        click.echo(json.dumps(watched.document(target, sample)) if plain else "\n".join(watched.lines(target, sample)))
        if sample.looked.partial:
            status = _missing(sample.looked.partial)
    return status


def _missing(why: str) -> int:
    click.echo(f"kiqdoctor: {clean(why, 1_000)}", err=True)
    return 3


def _compared(before: Path, after: Path) -> int:
    from kiqdoctor.examining.compared import CompareError, lines, load
    from kiqdoctor.reading import whole

    found = []
    for file in (before, after):
        try:
            found.append(load(whole(file)))
        except (OSError, CompareError) as error:
            raise click.UsageError(f"{clean(str(file))}: {clean(str(error))}") from None
    click.echo("\n".join(lines(*found)))
    return 0
