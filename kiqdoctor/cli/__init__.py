"""Words -> one call into runtime, doctor or top; one file a command, imported when it is asked for."""

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Final

import click

from kiqdoctor.cli import streams
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.loading import uncollected
from kiqdoctor.text import LONG, clean, disarmed
from kiqdoctor.version import __version__

COMMANDS: Final = {
    "acl": "The smallest ACL rule that the selected checks need.",
    "bundle": "A redacted archive of an examination, for a bug report.",
    "check": "Examine a Redis, this host's workers and an application.",
    "core": "What a crash left: signal, library, package, job.",
    "demo": "What the doctor finds, on an embedded Redis, in seconds.",
    "diff": "What is new, healed and persisting between two reports.",
    "dump": "What a worker's threads do, and what is wrong with them.",
    "explain": "A check's own page: why, how it is found, how to fix it.",
    "fix": "Mend what a machine can: a plan, until --apply.",
    "gate": "The examination as a step of a pipeline.",
    "init": "Write a commented configuration for what is found here.",
    "list": "Every check: id, name, severity, category, what it needs.",
    "native": "Packages with native code, and what they miss.",
    "new": "Write a check of your own, and its test.",
    "record": "Save an examination, to be judged elsewhere.",
    "serve": "Health and metrics over HTTP, refreshed all the time.",
    "top": "The live view.",
    "whatif": "Connections, pools and drain times of another fleet.",
    "why": "Where a job is, why it has not run, and when it will.",
    "work": "Run jobs, in worker processes under one small parent.",
}
"""Each a module of this package, and what the list of commands says of it: no module is loaded for that."""


class _Lazy(click.Group):
    """Imports a command's module only when it is run or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        with uncollected():
            command: click.Command = import_module(f"kiqdoctor.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}. " + (f"Did you mean {near[0]!r}?" if near else "See --help."))
        return super().resolve_command(ctx, args)


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kiqdoctor", message="%(prog)s %(version)s")
def group() -> None:
    """The doctor for Sidekiq-style job queues, and a runtime that gives it nothing to find."""


def run(arguments: Sequence[str]) -> int:
    """The exit status. Bad input is one line on stderr, never a traceback."""
    if arguments[:1] == ["work"]:  # its streams are the jobs'
        return _run(arguments)
    with streams.guarded():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        result = group.main(args=[*arguments], prog_name="kiqdoctor", standalone_mode=False)
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None and not arguments:
            _say(error.ctx.get_help())
        else:
            _say(f"kiqdoctor: {error.format_message()}")
        return 2
    except AskedError as error:
        _say(f"kiqdoctor: {error}")
        return 2
    except (KeyboardInterrupt, click.Abort):
        _say("kiqdoctor: interrupted")
        return 130
    except streams.ReaderLeftError:
        return streams.LEFT
    return result if isinstance(result, int) else 0


def _say(text: str) -> None:
    """On standard error, where there is one; for the log of a CI system too, whatever the streams are.

    An error may repeat what a file or a server says: it is cleaned as all text from outside.
    """
    with suppress(OSError):
        click.echo("\n".join(disarmed(line) for line in clean(text, LONG, lines=True).split("\n")), err=True)
