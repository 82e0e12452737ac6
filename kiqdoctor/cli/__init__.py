"""Words -> one call into runtime, doctor or top; one file a command, imported when it is asked for."""

import sys
from collections.abc import Sequence
from importlib import import_module

import click

from kiqdoctor.examining.errors import AskedError
from kiqdoctor.version import __version__

COMMANDS = {
    "check": "check",
    "demo": "demo",
    "diff": "diff",
    "dump": "dump",
    "explain": "explain",
    "gate": "gate",
    "init": "init",
    "list": "list",
    "new": "new",
    "record": "record",
    "serve": "serve",
    "top": "top",
    "work": "work",
}


class _Lazy(click.Group):
    """Imports a command's module only when it is run or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002
        if name not in COMMANDS:
            return None
        command: click.Command = import_module(f"kiqdoctor.cli.{COMMANDS[name]}").command
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="kiqdoctor", message="%(prog)s %(version)s")
def group() -> None:
    """The doctor for Sidekiq-style job queues, and a runtime that gives it nothing to find."""


def run(arguments: Sequence[str]) -> int:
    """The exit status. Bad input is one line on stderr, never a traceback."""
    try:
        result = group.main(args=[*arguments], prog_name="kiqdoctor", standalone_mode=False)
    except click.ClickException as error:
        if isinstance(error, click.UsageError) and error.ctx is not None and not arguments:
            click.echo(error.ctx.get_help(), err=True)
        else:
            click.echo(f"kiqdoctor: {error.format_message()}", err=True)
        return 2
    except AskedError as error:
        click.echo(f"kiqdoctor: {error}", err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        click.echo("kiqdoctor: interrupted", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()  # the reader left: nothing more to say, and no traceback at exit
        return 0
    return result if isinstance(result, int) else 0
