"""Commands that take one address: a second is refused, for the one that is dropped would pass as examined."""

from collections.abc import Sequence
from typing import Final

import click

ONCE: Final = ("redis", "namespace")
"""Options that say what is looked at, by their parameter's name."""


class Once(click.Command):
    """What is looked at is named once."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As any command, and nothing of ``ONCE`` twice."""
        refuse_seconds(ctx, self.make_parser(ctx).parse_args(list(args))[2])
        return super().parse_args(ctx, args)


def refuse_seconds(ctx: click.Context, order: Sequence[click.Parameter]) -> None:
    """Of the parameters as they were given, none of ``ONCE`` may stand there twice, but what takes several.

    Raises:
        click.UsageError: one does; without its values, which may hold a password.
    """
    names = [one.name for one in order if not one.multiple]
    for name in ONCE:
        if names.count(name) > 1:
            raise click.UsageError(f"--{name} is given {names.count(name)} times; a run takes one", ctx)
