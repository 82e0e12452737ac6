"""Ruby files that could not be read and that no job could lead into: seeds, generators, templates, locales, data."""

from typing import Final

from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

APART: Final = regex(
    r"(?:^|/)db/(?:[\w-]*migrat\w*|seeds?|fixtures|data|samples?|demo|development|test)/"
    r"|(?:^|/)db/(?:[\w-]*schema|structure|seeds?)[\w.-]*\.rb$"
    r"|(?:^|/)fixtures/|(?:^|/)config/locales?/|(?:^|/)lib/(?:[\w-]+/)?generators/"
)
"""What Rails and its like load by hand, for tests, or as a table of words."""
BOOTS: Final = regex(r"(?:^|/)(?:config|initializers)/[^/]|(?:^|/)(?:Rakefile|Gemfile|config\.ru)$|\.(?:ru|rake)$")
RUNS: Final = regex(
    rb"(?<![\w:.])(?:def|class|module|lambda|proc|included|task)\b|->|\b(?:Class|Module|Struct|Data)\.new\b"
)
"""Words without which a file has nothing that runs but when it is loaded."""
TEMPLATE: Final = regex(rb"\{\{[{#/&^!>~]?\s{0,9}[A-Za-z_][\w.]*\s{0,9}~?\}\}|<%[-=#]?\s[^\n]{0,200}?%>")
"""Mustaches and ERB: text from which another program makes Ruby."""


def aside(tree: Tree, broken: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Those of the files that could not be read of which no rule about jobs depends."""
    return [one for one in broken if APART.search(one[0]) or _is_data(tree, one[0])]


def _is_data(tree: Tree, path: str) -> bool:
    """Whether it defines nothing, and is not loaded as it stands: it lies where nothing boots, or is a template."""
    file = tree.file(path)
    try:
        content = file.content() if file is not None else b""
    except UnreadableError:
        return False
    runs = file is None or RUNS.search(content) is not None
    return not runs and (BOOTS.search(path) is None or TEMPLATE.search(content) is not None)
