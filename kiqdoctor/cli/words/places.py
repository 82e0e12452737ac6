"""Where each key of a TOML document stands, so that an error can name the line; the parser itself keeps none."""

import re
from typing import Final

from kiqdoctor.examining.configuration import Key
from kiqdoctor.regex import regex

_BARE: Final = regex(r"[A-Za-z0-9_-]+")
_SPACE: Final = regex(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK: Final = regex(r"[ \t]*")
_ESCAPE: Final = regex(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r"}
_PLAIN: Final = regex(r"[^,\]}\n#]*")


def lines(text: str) -> dict[Key, int]:
    """Line numbers, from 1, of every table and key of a document that a TOML parser has accepted."""
    return _Walk(text).found()


class _Walk:
    """Goes once through the text and notes each key as it passes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: dict[Key, int] = {}
        self._arrays: dict[Key, int] = {}  # arrays of tables, and how many each has so far

    def found(self) -> dict[Key, int]:
        table: Key = ()
        while self._skip(_SPACE) < len(self._text):
            if self._text.startswith("[", self._at):
                table = self._header()
            else:
                self._pair(table)
        return self._found

    def _header(self) -> Key:
        double = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if double else 1
        key = self._key()
        self._at = self._text.index("]", self._at) + (2 if double else 1)
        table = self._into(key[:-1])
        if double:
            whole = (*table, key[-1])
            number = self._arrays[whole] = self._arrays.get(whole, -1) + 1
            self._note(whole, line)
            table = (*whole, number)
        else:
            table = self._into(key)
        self._note(table, line)
        return table

    def _into(self, key: tuple[str, ...]) -> Key:
        """A header's path with the last table of each array on its way."""
        path: Key = ()
        for name in key:
            path = (*path, name)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _pair(self, table: Key) -> None:
        line = self._line()
        key = self._key()
        for depth in range(1, len(key) + 1):
            self._note((*table, *key[:depth]), line)
        self._at = self._text.index("=", self._at) + 1
        self._value((*table, *key))

    def _value(self, path: Key) -> None:
        self._skip(_BLANK)
        char = self._text[self._at : self._at + 1]
        if char in {'"', "'"}:
            self._string()
        elif char == "[":
            self._array(path)
        elif char == "{":
            self._inline(path)
        else:
            self._skip(_PLAIN)

    def _array(self, path: Key) -> None:
        self._at += 1
        number = 0
        while self._next() != "]":
            self._note((*path, number), self._line())
            self._value((*path, number))
            number += 1
            self._comma()
        self._at += 1

    def _inline(self, path: Key) -> None:
        self._at += 1
        while self._next() != "}":
            self._pair(path)
            self._comma()
        self._at += 1

    def _comma(self) -> None:
        if self._next() == ",":
            self._at += 1

    def _next(self) -> str:
        self._skip(_SPACE)
        return self._text[self._at]

    def _key(self) -> tuple[str, ...]:
        """Dotted, bare or quoted."""
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            if self._text[self._at] in "\"'":
                parts.append(self._string())
            elif bare := _BARE.match(self._text, self._at):
                parts.append(bare[0])
                self._at = bare.end()
            self._skip(_BLANK)
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _string(self) -> str:
        quote = self._text[self._at]
        end = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        start = at = self._at + len(end)
        while not self._text.startswith(end, at):
            at += 2 if quote == '"' and self._text[at] == "\\" else 1
        while len(end) == 3 and self._text.startswith(quote, at + 3):  # noqa: PLR2004 - quotes that end the text itself
            at += 1
        self._at = at + len(end)
        raw = self._text[start:at]
        return _ESCAPE.sub(_unescaped, raw) if quote == '"' else raw

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        self._at = found.end() if found else self._at
        return self._at

    def _note(self, path: Key, line: int) -> None:
        self._found.setdefault(path, line)

    def _line(self) -> int:
        return self._text.count("\n", 0, self._at) + 1


def _unescaped(found: re.Match[str]) -> str:
    number = found[1] or found[2]
    return chr(int(number, 16)) if number else _ESCAPES.get(found[3], found[3])
