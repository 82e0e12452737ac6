"""The names of formats on the command line, ours and the plug-ins', and a report in the format of a name."""

from typing import TYPE_CHECKING, Any

import click

from kiqdoctor.doctor import plugins
from kiqdoctor.doctor.contain import CrashError
from kiqdoctor.doctor.report import Report
from kiqdoctor.render import formats
from kiqdoctor.render.view import PLAIN, View

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    _Choice = click.Choice[str]
else:
    _Choice = click.Choice  # click 8.1 knows no type parameter

DEFAULT = "text"
COMMANDING = frozenset({"github", "azure"})
"""Formats whose lines command a CI system, and that disarm what came from outside themselves."""


class FormatName(_Choice):
    """One of ours, or of a plug-in's."""

    def __init__(self) -> None:
        super().__init__(formats.NAMES)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Ours go first: no plug-in takes the place of one."""
        if value not in self.choices and value in plugins.formats():
            return str(value)
        return str(super().convert(value, param, ctx))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG002
        """Both."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in known() if name.startswith(incomplete)]


def known() -> tuple[str, ...]:
    """Every format's name."""
    return tuple(dict.fromkeys((*formats.NAMES, *plugins.formats())))


def rendered(report: Report, form: str, view: View = PLAIN) -> str:
    """The report in this format; as our text, and a line on standard error, where a plug-in's crashes."""
    if form in formats.NAMES:
        return formats.rendered(report, form, view)
    try:
        return plugins.rendered(report, form)
    except CrashError as error:
        click.echo(f"kiqdoctor: the format {form} crashed: {error}; this is the text in its place", err=True)
        return formats.rendered(report, DEFAULT)
