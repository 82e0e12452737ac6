"""What a method in Ruby makes of what it was handed, and to whom it hands that on."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.graph import Unit
from kiqdoctor.probes.code.ruby.classes import Method
from kiqdoctor.probes.code.ruby.naming import arguments_of
from kiqdoctor.probes.tree.ruby import block, named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node

THROUGH: Final = frozenset(
    {"decode64", "strict_decode64", "urlsafe_decode64", "inflate", "gunzip", "decompress", "read", "binread", "open"}
    | {"parse", "join", "new", "String", "Array", "Pathname", "unescape"}
)
"""Methods whose result is what they are given, in another form; of files what lies where that says."""
MOST_ROUNDS: Final = 10
VARIABLES: Final = frozenset({"identifier", "instance_variable"})


def parameters(method: Method) -> list[str]:
    """Its parameters in order."""
    return [*_parameters(method.node)]


def _parameters(node: "Node") -> Iterator[str]:
    for one in named(node.child_by_field_name("parameters")):
        yield text(one.child_by_field_name("name") or one).lstrip("*&")


def holds(node: "Node | None", names: frozenset[str]) -> bool:
    """Whether an expression is one of these names, or made of one."""
    todo = [node] if node is not None else []
    while todo:
        one = todo.pop()
        if one.type in VARIABLES and text(one) in names:
            return True
        if one.type == "call":
            todo += _through(one)
        elif one.type == "element_reference":
            todo += named(one)[:1]
        elif one.type not in {"lambda", "block", "do_block"}:
            todo += named(one)
    return False


def _through(node: "Node") -> "Iterator[Node]":
    receiver = node.child_by_field_name("receiver")
    if receiver is not None:
        yield receiver
    if text(node.child_by_field_name("method")) in THROUGH:
        yield from arguments_of(node)


def held(method: Method, names: frozenset[str]) -> frozenset[str]:
    """These names, and those that are set to what is made of them."""
    if not names:
        return names
    pairs = [*_pairs(method)]
    for _ in range(MOST_ROUNDS):
        more = {name for into, value in pairs if holds(value, names) for name in into} - names
        if not more:
            break
        names |= more
    return names


def _pairs(method: Method) -> "Iterator[tuple[list[str], Node]]":
    """Names with what they are set to; a block's parameters with whose block it is."""
    for node in method.assignments:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None and right is not None:
            targets = named(left) if left.type == "left_assignment_list" else [left]
            yield [text(one) for one in targets if one.type in VARIABLES], right
    for sent in method.calls:
        inside, receiver = block(sent.node), sent.node.child_by_field_name("receiver")
        if inside is not None and receiver is not None:
            yield [*_parameters(inside)], receiver


def passed(method: Method, names: frozenset[str]) -> Iterator[tuple[Unit, frozenset[str]]]:
    """The methods that it calls, each with the parameters that get what is made of these names."""
    if not names:
        return
    targets: dict[tuple[int, int], list[Method]] = {}
    for edge in method.edges:
        if edge.called and isinstance(edge.to, Method):
            targets.setdefault(edge.at, []).append(edge.to)
    for sent in method.calls:
        for to in targets.get(method.at(sent.node), ()):
            if got := frozenset(_got(sent.node, parameters(to), names)):
                yield to, got


def _got(node: "Node", into: list[str], names: frozenset[str]) -> Iterator[str]:
    for place, given in enumerate(arguments_of(node)):
        if given.type == "pair":
            key = string(given.child_by_field_name("key"))
            if holds(given.child_by_field_name("value"), names):
                yield from (one for one in into if one == key)
        elif holds(given, names):
            spread = given.type in {"splat_argument", "hash_splat_argument", "forward_arguments"}
            yield from into[place:] if spread else into[place : place + 1]
