"""How statements in Ruby may end."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.tree.ruby import named, text

if TYPE_CHECKING:
    from tree_sitter import Node

RAISES: Final = frozenset({"raise", "fail", "exit", "exit!", "abort", "throw"})
LEAVES: Final = frozenset({"return", "break", "next", "redo", "retry"})
ON: Final = frozenset({"on"})
DEEPEST: Final = 50  # conditions within conditions
Raising = Callable[[str], bool]


def _none(_: str) -> bool:
    return False


def ways(body: Sequence["Node"], raising: Raising = _none, depth: int = 0) -> frozenset[str]:
    """Each that can happen: "raise" (or the process ends), "leave" (return, break, next, retry), "on".

    ``raising``: whether a method of this name, called on the object itself, never comes back.
    """
    found: set[str] = set()
    for statement in body:
        here = _ways(statement, raising, depth)
        found |= here - ON
        if "on" not in here:
            return frozenset(found)
    return frozenset(found | ON)


def _ways(node: "Node", raising: Raising, depth: int) -> frozenset[str]:
    found = ON
    if node.type in LEAVES:
        found = frozenset({"leave"})
    elif node.type in {"call", "identifier"}:
        found = frozenset({"raise"}) if _raises(node, raising) else ON
    elif depth > DEEPEST:
        pass
    elif node.type in {"if_modifier", "unless_modifier"}:
        found = ways(_part(node, "body"), raising, depth + 1) | ON
    elif node.type in {"if", "unless", "elsif"}:
        other = node.child_by_field_name("alternative")
        then = ways(_inside(node, "consequence"), raising, depth + 1)
        found = then | (_ways(other, raising, depth + 1) if other is not None else ON)
    elif node.type == "case":
        found = _case(node, raising, depth)
    elif node.type in {"else", "begin", "parenthesized_statements"}:
        found = ways(named(node), raising, depth + 1)
    return found


def _raises(node: "Node", raising: Raising) -> bool:
    bare = node.type == "identifier" or node.child_by_field_name("receiver") is None
    name = text(node if node.type == "identifier" else node.child_by_field_name("method"))
    return bare and (name in RAISES or raising(name))


def _case(node: "Node", raising: Raising, depth: int) -> frozenset[str]:
    parts = named(node)
    rest = [_ways(one, raising, depth + 1) for one in parts if one.type == "else"] or [ON]
    found = [ways(_inside(one, "body"), raising, depth + 1) for one in parts if one.type == "when"]
    return frozenset[str]().union(*rest, *found)


def _part(node: "Node", field: str) -> list["Node"]:
    one = node.child_by_field_name(field)
    return [one] if one is not None else []


def _inside(node: "Node", field: str) -> list["Node"]:
    return named(node.child_by_field_name(field))
