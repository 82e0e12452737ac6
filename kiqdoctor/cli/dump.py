"""``kiqdoctor dump``: what every thread of one worker does now, asked for through Redis or read by py-spy."""

import json
from pathlib import Path

import click

from kiqdoctor.cli.words.once import Once
from kiqdoctor.text import clean

PID_DIGITS = 10


@click.command("dump", cls=Once)
@click.argument("target", metavar="TARGET", required=False)
@click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address that the worker uses.")
@click.option("--namespace", metavar="NAME", help="The worker's keys are under NAME:.")
@click.option("--timeout", type=click.FloatRange(0.1), default=15.0, show_default=True, help="Seconds to wait.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--compare", nargs=2, metavar="A B", type=click.Path(path_type=Path, exists=True, dir_okay=False),
              help="Instead: two dumps that --format json wrote, and what moved between them.")  # fmt: skip
def command(
    *,
    target: str | None,
    redis: str | None,
    namespace: str | None,
    timeout: float,
    form: str,
    compare: tuple[Path, Path] | None,
) -> int:
    """Show what every thread of a worker does, and what is wrong with them.

    TARGET is an identity HOST:PID:NONCE, as the process list shows it, or a pid on this host. A process of this host is
    looked at three times within a second, without being paused. Workers of kiqdoctor's own runtime are asked too, and
    answer at their next beat, within 5 seconds. A Ruby Sidekiq is sent TTIN, if it catches it, and its log is read.

    Exit status 0: shown. 3: not, or only in part; the missing permission is told.
    """
    if compare is not None:
        return _compared(*compare)
    if target is None:
        raise click.UsageError("name a TARGET: a pid, or an identity HOST:PID:NONCE")
    from kiqdoctor.connection import UrlError
    from kiqdoctor.examining import dumped
    from kiqdoctor.examining.dumps import UnansweredError, of_identity, of_pid
    from kiqdoctor.runtime import config
    from kiqdoctor.wire.heartbeat import split_identity

    by_pid = target.isascii() and target.isdigit() and len(target) <= PID_DIGITS
    if not by_pid and split_identity(target)[1] is None:
        raise click.UsageError(f"TARGET is a pid or an identity HOST:PID:NONCE, not {clean(target)!r}")
    try:
        config.configure(redis=redis, namespace=namespace)
    except (ValueError, UrlError) as error:
        raise click.UsageError(str(error)) from None
    try:
        settings = config.current()
        found = of_pid(int(target), settings, timeout) if by_pid else of_identity(target, settings, timeout)
    except UnansweredError as error:
        click.echo(f"kiqdoctor: {clean(str(error), 1_000)}", err=True)
        return 3
    plain = form == "json"
    click.echo(
        json.dumps(dumped.document(target, found), indent=2) if plain else "\n".join(dumped.lines(target, found))
    )
    if found.partial:
        click.echo(f"kiqdoctor: {clean(found.partial, 1_000)}", err=True)
        return 3
    return 0


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
