"""Embedded Ruby in other languages' files: while they are parsed, what it computes is a word."""

import re
from typing import Final

from kiqdoctor.regex import regex

MARK: Final = "erb0x"
_ALONE: Final = regex(rf"^([ \t]*)({MARK}[0-9a-f]*)[ \t]*$", re.MULTILINE)
_WORD: Final = regex(rf"{MARK}([0-9a-f]*)")


def worded(source: str) -> str:
    """Each ``<%= expression %>`` as one word, statements and comments as nothing; lines stay where they are."""
    parts: list[str] = []
    rest = source
    while "<%" in rest:
        head, _, tail = rest.partition("<%")
        code, _, rest = tail.partition("%>")
        word = f"{MARK}{code[1:].strip(' -').encode().hex()}" if code.startswith("=") else ""
        parts += [head, word, "\n" * code.count("\n")]
    return "".join([*parts, rest])


def paired(text: str) -> str:
    """A line that is one word as a key of its own: Ruby that writes out a key with its value, whatever it is."""
    return _ALONE.sub(r"\1\2:", text)


def restored(text: str) -> str:
    """A value of such a file as it stands there: words are ``<%= expression %>`` again."""
    return _WORD.sub(_written, text)


def _written(word: re.Match[str]) -> str:
    try:
        return f"<%= {bytes.fromhex(word[1]).decode()} %>"
    except ValueError:
        return word[0]


def expression(value: object) -> str | None:
    """The Ruby that a value is computed by; None where it is anything more, or none."""
    plain = value.strip() if isinstance(value, str) else ""
    if not (plain.startswith("<%=") and plain.endswith("%>")) or plain.count("<%") != 1:
        return None
    return plain[3:-2].strip(" -")
