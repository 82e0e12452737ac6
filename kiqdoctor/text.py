"""The one sanitiser for text from outside: Redis, files, processes."""

import unicodedata
from typing import Final

SHORT: Final = 200  # characters, in lists
LONG: Final = 10_000  # characters, in details
MARKS: Final = 3  # combining marks in a row that a script really uses

_UNSAFE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def decode(raw: bytes) -> str:
    """Bytes from outside as text that every encoder takes: what is not UTF-8 becomes ``\\xNN``."""
    return raw.decode("utf-8", "backslashreplace")


def clean(text: str, limit: int = SHORT, *, lines: bool = False) -> str:
    """Text that cannot move a cursor, restyle a screen or reorder what is beside it.

    Cut to ``limit`` characters; control characters become their pictures, format and private ones ``\\uXXXX``.
    ``lines`` keeps line feeds.
    """
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isascii() and cut.isprintable():
        return cut
    return "".join(_spell(cut, lines=lines))


def _spell(text: str, *, lines: bool) -> list[str]:
    spelt: list[str] = []
    marks = 0
    for char in text:
        category = unicodedata.category(char)
        marks = marks + 1 if category in {"Mn", "Me"} else 0
        if char == "\n" and lines:
            spelt.append(char)
        elif char < " ":
            spelt.append(chr(0x2400 + ord(char)))
        elif char == "\x7f":
            spelt.append("\u2421")
        elif category in _UNSAFE:
            spelt.append(f"\\u{ord(char):04x}")
        elif marks <= MARKS:
            spelt.append(char)
    return spelt
