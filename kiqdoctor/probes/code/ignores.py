"""Comments of the application that ask to be spared: ``# kiqdoctor: ignore[COD002] reason``."""

import io
import re
import tokenize
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Ignore, Ignores
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.tree.file import File

MARK: Final = b"kiqdoctor:"
WORDS: Final = regex(r"#+\s*kiqdoctor:\s*ignore\b(?:\s*\[([^\]]*)\])?[\s:,-]*(.*)", re.DOTALL)
SPOKEN: Final = (".py", ".rb", ".ru", ".rake", "Gemfile", "Rakefile")
LINES: Final = (".yml", ".yaml", ".toml", ".conf", ".service", ".ini", "Procfile", "Dockerfile", ".env", ".txt", ".sh")
"""Files whose comments begin with # and end with their line."""
MOST: Final = 10_000  # comments that are kept
LONGEST: Final = 500  # characters of a reason
NO_CODE: Final = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT})


@probe(
    Read("*.py, *.rb, files of deployment and configuration that speak of kiqdoctor", "", "read once with the source"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def ignores(tree: Tree) -> Ignores:
    """Every such comment, with the lines that it speaks of."""
    found: list[Ignore] = []
    for file in tree.files(*SPOKEN, *LINES):
        try:
            if MARK in file.content():
                found += _of(file)
        except (UnreadableError, UnparsedError):
            continue  # nothing of it is judged either
        if len(found) > MOST:
            return Ignores(tuple(found[:MOST]), f"only the first {MOST} comments that ask to be spared were looked at")
    return Ignores(tuple(found))


def _of(file: "File") -> Iterator[Ignore]:
    if file.path.endswith(".py"):
        comments = _python(file.text())
    elif file.path.endswith(SPOKEN):
        comments = _ruby(file.ruby())
    else:
        comments = _plain(file.text())
    for line, column, text, lines in comments:
        if said := WORDS.match(text):
            names = tuple(name.strip() for name in (said[1] or "").split(",") if name.strip())
            reason = clean(said[2].strip(), LONGEST)
            yield Ignore(file.path, line, column, tuple(clean(name) for name in names), reason, lines)


Comments = Iterator[tuple[int, int, str, tuple[int, ...]]]
"""Line, column, text, and the lines that it stands beside."""


def _python(text: str) -> Comments:
    """A comment behind code speaks of that statement's lines; one that stands alone of the next statement's first."""
    alone: list[tokenize.TokenInfo] = []
    behind: list[tokenize.TokenInfo] = []
    begun = 0
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            line = token.start[0]
            if token.type == tokenize.COMMENT:
                (behind if begun else alone).append(token)
            elif token.type == tokenize.NEWLINE:
                for one in behind:
                    yield (*_at(one), one.string, tuple(range(begun, line + 1)))
                behind, begun = [], 0
            elif token.type not in NO_CODE and not begun:
                begun = line
                for one in alone:
                    yield (*_at(one), one.string, (one.start[0], line))
                alone = []
    except (tokenize.TokenError, SyntaxError):  # a file that is not finished, or newer than this interpreter
        pass
    for one in (*alone, *behind):
        yield (*_at(one), one.string, (one.start[0],))


def _at(token: tokenize.TokenInfo) -> tuple[int, int]:
    return token.start[0], token.start[1] + 1


def _ruby(root: "Node") -> Comments:
    from kiqdoctor.probes.tree.ruby import text, walk

    for node in walk(root):
        if node.type != "comment":
            continue
        row, before, after = node.start_point[0], node.prev_named_sibling, node.next_named_sibling
        lines = {row + 1}
        if before is not None and before.end_point[0] == row:
            lines.add(before.start_point[0] + 1)
        elif _alone(node):
            while after is not None and after.type == "comment":
                after = after.next_named_sibling
            lines |= {after.start_point[0] + 1} if after is not None else set()
        yield row + 1, node.start_point[1] + 1, text(node), tuple(sorted(lines))


def _alone(node: "Node") -> bool:
    """Whether nothing stands before a comment on its line."""
    above = node.parent
    return above is None or above.start_point[0] != node.start_point[0] or above.type == "program"


def _plain(text: str) -> Comments:
    """Line by line: a # at the beginning or after a blank."""
    found = text.splitlines()
    for number, line in enumerate(found, 1):
        start = line.find("# kiqdoctor:") if not line.lstrip().startswith("#") else len(line) - len(line.lstrip())
        if start < 0 or (start and not line[start - 1].isspace()):
            continue
        below = (at for at in range(number + 1, len(found) + 1) if found[at - 1].strip()[:1] not in {"", "#"})
        lines = (number,) if line[:start].strip() else (number, next(below, number))
        yield number, start + 1, line[start:], lines
