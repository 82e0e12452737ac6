"""The arguments of a call in Ruby, as far as their text tells what they are."""

from collections.abc import Iterator
from sys import intern
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Argument, Shape
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, arguments_of, name_of
from kiqdoctor.probes.code.words import spoken
from kiqdoctor.probes.tree.ruby import named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node

SHAPES: Final = {
    **dict.fromkeys(("string", "heredoc_beginning", "chained_string"), Shape.TEXT),
    **dict.fromkeys(("integer", "float"), Shape.NUMBER),
    **dict.fromkeys(("true", "false"), Shape.FLAG),
    "nil": Shape.NONE,
    **dict.fromkeys(("simple_symbol", "delimited_symbol"), Shape.SYMBOL),
    **dict.fromkeys(("array", "string_array", "symbol_array"), Shape.LIST),
    "hash": Shape.MAPPING,
    **dict.fromkeys(("lambda", "block_argument"), Shape.FUNCTION),
    **dict.fromkeys(("identifier", "instance_variable", *CONSTANTS), Shape.NAME),
    "call": Shape.CALL,
}
SEVERAL: Final = frozenset({"pair", "splat_argument", "hash_splat_argument"})
"""What is named, or stands for more than one."""
PLAIN: Final = frozenset({Shape.NUMBER, Shape.FLAG, Shape.NONE, Shape.SYMBOL, Shape.NAME})
"""Of these the text is told."""
LONGEST: Final = 100  # characters of a number or a name


def arguments(call: "Node") -> tuple[Argument, ...]:
    """All of them, in order; an array that is spread stands for what is in it."""
    found: list[Argument] = []
    for node in arguments_of(call):
        if node.type in SEVERAL:
            found += _arguments(node)
        else:
            found.append(_argument("", node))
    return tuple(found)


def _arguments(node: "Node") -> Iterator[Argument]:
    if node.type == "pair":
        key, value = node.child_by_field_name("key"), node.child_by_field_name("value")
        name = string(key) if key is not None else None
        yield _argument(name or "**", value) if value is not None else Argument(name or "**", Shape.NAME, name or "")
    elif node.type in {"splat_argument", "hash_splat_argument"}:
        inner = named(node)
        if inner and inner[0].type == "array" and node.type == "splat_argument":
            for one in named(inner[0]):
                yield from _arguments(one)
        else:
            yield Argument("*" if node.type == "splat_argument" else "**", Shape.OTHER)
    else:
        yield _argument("", node)


def _argument(name: str, node: "Node") -> Argument:
    shape = SHAPES.get(node.type, Shape.OTHER)
    if shape is Shape.TEXT:
        return Argument(name, shape, spoken(string(node) or ""))
    if shape is Shape.CALL:
        return Argument(name, shape, intern(name_of(node)[:LONGEST]))
    return Argument(name, shape, intern(text(node)[:LONGEST].lstrip(":")) if shape in PLAIN else "")
