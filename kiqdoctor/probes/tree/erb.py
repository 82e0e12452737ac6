"""Embedded Ruby in other languages' files: what it computes becomes a word that its expression can be read from."""

import re
from typing import Final

MARK: Final = "erb0x"
_WORD: Final = re.compile(rf"\b{MARK}([0-9a-f]*)")


def without(source: str) -> str:
    """Each ``<%= expression %>`` as one word, statements and comments as nothing; lines stay where they are."""
    parts: list[str] = []
    rest = source
    while "<%" in rest:
        head, _, tail = rest.partition("<%")
        code, _, rest = tail.partition("%>")
        word = f"{MARK}{code[1:].strip(' -').encode().hex()}" if code.startswith("=") else ""
        parts += [head, word, "\n" * code.count("\n")]
    return "".join([*parts, rest])


def expression(value: object) -> str | None:
    """The Ruby that a value of such a file is computed by; None where it is none."""
    found = _WORD.search(value) if isinstance(value, str) else None
    try:
        return bytes.fromhex(found[1]).decode() if found else None
    except ValueError:
        return None
