"""Python that is newer than the interpreter, spelt as the interpreter reads it: line by line the same code.

A grammar of the newest Python (tree-sitter's) finds what is new, and that alone is spelt otherwise: parameters of types
are left out, ``type X = ...`` becomes an assignment, exceptions get their parentheses, and a formatted text that older
Pythons refuse becomes the tuple of what it holds.
"""

import ast
import time
from functools import cache
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.tree.errors import UnparsedError

if TYPE_CHECKING:
    from tree_sitter import Language, Node

PARSE_SECONDS: Final = 5.0  # of a thread's own time
PIECE: Final = 64 * 1024  # bytes that the parser is handed at once
BLANK: Final = 32
NEWLINE: Final = 10
BACKSLASH: Final = 92
DEFINED: Final = frozenset({"function_definition", "class_definition"})


@cache
def _language() -> "Language":
    import tree_sitter_python
    from tree_sitter import Language

    return Language(tree_sitter_python.language())


def older(source: bytes) -> bytes:
    """The same in the words of older Pythons; raises `UnparsedError`."""
    text = bytearray(source)
    grown: list[tuple[int, bytes, int]] = []
    stack = [_parsed(source)]
    while stack:
        node = stack.pop()
        if node.type == "type_parameter":
            if node.parent is not None and node.parent.type in DEFINED:  # else it is what an annotation holds
                _blank(text, node.start_byte, node.end_byte)
                _join(text, node.start_byte, node.end_byte)
                continue
        elif node.type == "type_alias_statement":
            _alias(text, node)
            continue
        elif node.type in {"except_clause", "except_group_clause"}:
            grown += _caught(node)
        elif node.type in {"string", "concatenated_string"} and _is_formatted(node):
            if not _reads(source[node.start_byte : node.end_byte]):
                stack += _tuple(text, node)
            continue
        stack += node.children
    return _with(text, grown)


def _parsed(source: bytes) -> "Node":
    from tree_sitter import Parser

    parser = Parser(_language())  # it belongs to one thread
    end = time.thread_time() + PARSE_SECONDS
    try:
        stoppable = parser.parse(
            lambda at, _: source[at : at + PIECE], progress_callback=lambda *_: time.thread_time() > end
        )
    except ValueError:
        raise UnparsedError(f"it takes longer than {PARSE_SECONDS:g} s to parse") from None
    return parser.parse(source, stoppable).root_node


def _blank(text: bytearray, begin: int, end: int) -> None:
    """Spaces in place of what stands there; lines stay lines."""
    for at in range(begin, end):
        if text[at] not in b"\r\n":
            text[at] = BLANK


def _alias(text: bytearray, node: "Node") -> None:
    """``type X = int`` is ``     X = int``, with the indentation that it had."""
    begin, name = node.start_byte, node.children[1]
    for one in name.named_children[:1]:
        for parameters in one.children_by_field_name("type_parameter") or one.named_children[1:]:
            _blank(text, parameters.start_byte, parameters.end_byte)
    kept = bytes(text[name.start_byte : node.end_byte])
    text[begin : node.end_byte] = kept + b" " * (name.start_byte - begin)


def _caught(node: "Node") -> list[tuple[int, bytes, int]]:
    """Where parentheses go around exceptions that stand without."""
    inner = [one for one in node.children if one.type not in {"except", "except*", "*", "comment"}]
    before = list(inner[: next((n for n, one in enumerate(inner) if one.type == ":"), 0)])
    if not any(one.type == "," for one in before):
        return []
    return [(before[0].start_byte, b"(", 1), (before[-1].end_byte, b")", 0)]


def _with(text: bytearray, grown: list[tuple[int, bytes, int]]) -> bytes:
    for at, more, _ in sorted(grown, reverse=True):
        text[at:at] = more
    return bytes(text)


def _is_formatted(node: "Node") -> bool:
    strings = node.children if node.type == "concatenated_string" else [node]
    begins = [one.children[0].text or b"" for one in strings if one.type == "string" and one.children]
    return any(set(begin.lower()) & set(b"ft") for begin in begins)


def _reads(text: bytes) -> bool:
    try:
        ast.parse(b"(" + text + b"\n)")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _join(text: bytearray, begin: int, end: int) -> None:
    """Lines that brackets held together, held together by backslashes."""
    for at in range(begin + 1, end):
        if text[at] == NEWLINE and text[at - 1] == BLANK:
            text[at - 1] = BACKSLASH


def _tuple(text: bytearray, node: "Node") -> "list[Node]":
    """``f"a{x["b"]}c"`` becomes ``(   x["b"],  )``, as long as it was; what it holds may be new too."""
    kept: list[tuple[int, int]] = []
    commas: list[int] = []
    holds: list[Node] = []
    stack = [node]
    while stack:
        one = stack.pop()
        if one.type == "interpolation":
            held = [child for child in one.named_children if child.type not in {"type_conversion", "format_specifier"}]
            kept += [(held[0].start_byte, held[0].end_byte)] if held else []
            holds += held[:1]
            commas += [one.end_byte - 1] if held else []
        else:
            stack += one.children
    inside = {number for begin, end in kept for number in range(begin, end)}
    for at in range(node.start_byte, node.end_byte):
        if at not in inside and text[at] not in b"\r\n":
            text[at] = BLANK
    text[node.start_byte] = ord("(")
    text[node.end_byte - 1] = ord(")")
    for at in commas:
        text[at] = ord(",")
    return holds
