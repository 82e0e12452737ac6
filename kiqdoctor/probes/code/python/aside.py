"""Python files that could not be read and that nobody can load as they stand: templates of files to be made."""

import re
from typing import Final

from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

MARKS: Final = regex(
    rb"^[ \t]*\{%[-+]?[ \t]*[a-z]|^[ \t]*(?:from|import|class|def|async def|@)[^\n#'\"]*\{\{", re.MULTILINE
)
"""Jinja where Python has no text: a statement that begins a line, an expression in place of a name."""


def aside(tree: Tree, broken: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the files that could not be read of which no rule depends."""
    return [one for one in broken if one[1].startswith("SyntaxError") and _is_template(tree, one[0])]


def _is_template(tree: Tree, path: str) -> bool:
    file = tree.file(path)
    try:
        return file is not None and MARKS.search(file.content()) is not None
    except UnreadableError:
        return False
