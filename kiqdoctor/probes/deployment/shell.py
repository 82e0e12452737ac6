"""Commands as files spell them: a list of words, or a line."""

import shlex
from typing import Final

from kiqdoctor.probes.tree.documents import Value

ENDS: Final = frozenset({";", "&&", "||", "|", "&", ";;", "|&", "\n"})
LONGEST: Final = 100_000  # characters of one line that are taken apart


def words(command: Value) -> tuple[str, ...]:
    """The words of a command that is executed without a shell."""
    if isinstance(command, list):
        return tuple(str(word) for word in command if isinstance(word, str | int | float))
    return split(command) if isinstance(command, str) else ()


def split(line: str) -> tuple[str, ...]:
    """Words by spaces and quotes; by spaces alone where a quote is not closed."""
    try:
        return tuple(shlex.split(line[:LONGEST]))
    except ValueError:
        return tuple(line[:LONGEST].split())


def simple(line: str) -> list[list[str]]:
    """The simple commands of a shell's line, in order, as words."""
    lexer = shlex.shlex(line[:LONGEST], posix=True, punctuation_chars=";&|\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    try:
        tokens = list(lexer)
    except ValueError:
        tokens = line[:LONGEST].split()
    found: list[list[str]] = [[]]
    for token in tokens:
        if token.strip(";&|\n"):
            found[-1].append(token)
        else:
            found.append([])
    return [one for one in found if one]
