"""Python's syntax trees."""

import ast
import re
import warnings
from typing import Final

from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.regex import regex

NOWHERE: Final = ""  # CPython opens the file of this name to quote a line in a SyntaxError: no file has none
MOST_WORK: Final = 3_000_000_000  # braces times bytes: a second of CPython 3.11, quadratic in f-strings
_FORMATTED: Final = regex(rb"\b(?:f|rf|fr)[\"']", re.IGNORECASE)


def parse(content: bytes) -> ast.Module:
    """The module of these bytes, in whatever Python's words; raises `UnparsedError`."""
    if content.count(b"{") * len(content) > MOST_WORK and _FORMATTED.search(content):
        raise UnparsedError("its f-strings would take too long to parse")
    warnings.filterwarnings("ignore", module="<unknown>")  # what the compiler thinks of "\d" is no finding of ours
    try:
        return _parsed(content)
    except SyntaxError as error:
        return _newer(content, error)


def _parsed(content: bytes) -> ast.Module:
    try:
        return ast.parse(content, NOWHERE)
    except (ValueError, RecursionError, MemoryError) as error:
        raise UnparsedError(f"{type(error).__name__}: {' '.join(str(error).split())}") from None


def _newer(content: bytes, error: SyntaxError) -> ast.Module:
    """The module, where only the interpreter is too old for it."""
    from kiqdoctor.probes.tree.newer import older

    try:
        respelt = older(content)
        if respelt != content:
            return _parsed(respelt)
    except SyntaxError:
        pass
    raise UnparsedError(f"SyntaxError: {error.msg}", error.lineno or 0) from None
