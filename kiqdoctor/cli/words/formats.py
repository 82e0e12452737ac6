"""Formats of plug-ins beside our own: their names on the command line, and what happens when one crashes."""

from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from kiqdoctor.doctor import plugins
from kiqdoctor.doctor.contain import CrashError
from kiqdoctor.doctor.report import Report

if TYPE_CHECKING:
    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # click 8.1 knows no type parameter


class Form(_Choice):
    """One of ours, or of a plug-in's."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Ours go first: no plug-in takes the place of one."""
        if value not in self.choices and value in plugins.formats():
            return str(value)
        return str(super().convert(value, param, ctx))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        """Both."""
        names = dict.fromkeys((*self.choices, *plugins.formats()))
        return [CompletionItem(name) for name in names if str(name).startswith(incomplete)]


def rendered(report: Report, form: str) -> str:
    """The report in a plug-in's format; as our text, and a line on standard error, where that crashes."""
    try:
        return plugins.rendered(report, form)
    except CrashError as error:
        from kiqdoctor.render import text

        click.echo(f"kiqdoctor: the format {form} crashed: {error}; this is the text in its place", err=True)
        return text.render(report)
