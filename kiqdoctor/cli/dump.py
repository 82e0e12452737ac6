"""``kiqdoctor dump``: what every thread of one worker does now, asked for through Redis or read by py-spy."""

import json
from typing import TYPE_CHECKING

import click

from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.doctor.facts.threads import Threads
    from kiqdoctor.runtime.dumping.dump import Dump

PID_DIGITS = 10


@click.command("dump")
@click.argument("target", metavar="TARGET")
@click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address that the worker uses.")
@click.option("--namespace", metavar="NAME", help="The worker's keys are under NAME:.")
@click.option("--timeout", type=click.FloatRange(0.1), default=15.0, show_default=True, help="Seconds to wait.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(*, target: str, redis: str | None, namespace: str | None, timeout: float, form: str) -> int:
    """Show every thread of a worker: its job, its stack, its locks.

    TARGET is an identity HOST:PID:NONCE, as the process list shows it, or a pid on this host. Workers of kiqdoctor's
    own runtime answer at their next beat, within 5 seconds. Of any other Python process of this host py-spy reads the
    stacks, without pausing it, and of a worker that does not answer.

    Exit status 0: shown. 3: not, or only the stacks of a worker that should have answered.
    """
    from kiqdoctor.connection import UrlError
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
        if error.instead is not None:
            click.echo(_shown(error.instead, int(target), form))
        click.echo(f"kiqdoctor: {clean(str(error), 1_000)}", err=True)
        return 3
    click.echo(_shown(found, int(target) if by_pid else 0, form))
    return 0


def _shown(found: "Dump | Threads", pid: int, form: str) -> str:
    from kiqdoctor.examining import threads
    from kiqdoctor.runtime.dumping import dump

    if form == "text":
        return "\n".join(dump.lines(found) if isinstance(found, dump.Dump) else threads.lines(found))
    import msgspec

    plain = msgspec.to_builtins(found) if isinstance(found, dump.Dump) else threads.as_dump(found, pid)
    return json.dumps(plain, indent=2)
