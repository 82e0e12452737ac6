"""The methods of the application that a method in Ruby runs: by what its receivers are known to be."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.ruby.classes import Class, Classes, Known, Method
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, arguments_of
from kiqdoctor.probes.tree.ruby import body, first, last, named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node

DEEPEST: Final = 8  # values that lead to values
MOST_BELOW: Final = 20  # descendants that may answer for what a class leaves to them
SENDS: Final = frozenset({"send", "public_send", "__send__", "method", "try", "try!"})
"""Methods that run, or hand on, the one whose name they are given."""
FINDS: Final = frozenset(
    {"find", "find_by", "find_by!", "find_by_id", "first", "first!", "last", "last!", "take", "create", "create!"}
    | {"build", "instance", "find_or_create_by", "find_or_create_by!", "find_or_initialize_by", "current"}
)
"""Of a class that does not define them: they give one of its objects."""
SAME: Final = frozenset(
    {"tap", "then", "reload", "freeze", "dup", "clone", "presence", "itself", "lock!"}
    | {"constantize", "safe_constantize"}
)


def edges(classes: Classes, method: Method) -> Iterator[Edge]:
    """The methods that a method runs."""
    asked = classes.asked
    own = not asked.isdisjoint(SENDS)
    for sent in method.calls:
        if (sent.last or "call") not in asked and sent.last not in SENDS and not own:
            continue  # nobody defines it, whatever it is asked of
        name = text(sent.node.child_by_field_name("method")) or "call"
        receiver = sent.node.child_by_field_name("receiver")
        known = _own(method) if receiver is None else kind(classes, receiver, method)
        at = method.at(sent.node)
        method.unfollowed += known is None and receiver is not None and name in classes.known
        if receiver is None and known is None:
            yield from _edges([classes.top[name]] if name in classes.top else [], at)
        if known is not None:
            yield from _edges(answers(classes, known, name, bare=receiver is None), at)
            literal = _literal(sent.node) if name in SENDS else None
            if literal:
                yield from _edges(answers(classes, known, literal, bare=True), at)
    mine = _own(method)
    for word, where in method.words.items() if mine is not None else ():
        if word not in method.locals and mine is not None:
            yield from _edges(answers(classes, mine, word, bare=True), where)
    for node in method.supers:
        over = classes.over(method)
        yield from _edges([over] if over is not None else [], method.at(node))


def _edges(found: "list[Method]", at: tuple[int, int]) -> Iterator[Edge]:
    return (Edge(to, at, called=True) for to in found)


def _literal(node: "Node") -> str | None:
    given = named(node.child_by_field_name("arguments"))
    return string(given[0]) if given else None


def _own(method: Method) -> Known | None:
    return Known(method.owner, method.singleton) if method.owner is not None else None


def answers(classes: Classes, known: Known, name: str, depth: int = 0, *, bare: bool = False) -> list[Method]:
    """What runs when this is asked; where its class leaves it to those below, each of theirs."""
    if name == "new" and known.singleton:
        name, known = "initialize", Known(known.cls)
    found = classes.method(known.cls, name, singleton=known.singleton)
    if found is None and depth < DEEPEST:
        found = _elsewhere(classes, known, name, depth)
    if found is None and bare and name in classes.top:
        found = classes.top[name]
    if found is not None:
        return [found]
    if not bare or name not in classes.known:
        return []
    below = classes.below(known.cls)[:MOST_BELOW]
    side = [one.singletons if known.singleton else one.methods for one in below]
    return [one[name] for one in side if name in one]


def _elsewhere(classes: Classes, known: Known, name: str, depth: int) -> Method | None:
    """By another name, or of the object that it is delegated to."""
    for cls in (known.cls, *(one for one in classes.ancestors(known.cls) if isinstance(one, Class))):
        if name in cls.stands_for:
            return next(iter(answers(classes, known, cls.stands_for[name], depth + 1)), None)
        to = cls.delegated.get(name, "")
        if to and not to.startswith("@"):
            other = _named(classes, Known(cls), to, depth + 1)
            return next(iter(answers(classes, other, name, depth + 1)), None) if other is not None else None
        if to.startswith("@") and to[1:] != name and to in cls.held:
            value, where = cls.held[to]
            other = kind(classes, value, where, depth + 1)
            return next(iter(answers(classes, other, name, depth + 1)), None) if other is not None else None
    return None


def _named(classes: Classes, known: Known, name: str, depth: int) -> Known | None:
    """What a method of this returns, as far as its last statement tells, or a variable that it reads."""
    if name in {"class", "self.class"}:
        return Known(known.cls, singleton=True)
    if name == "new" and known.singleton:
        return Known(known.cls)
    method = classes.method(known.cls, name, singleton=known.singleton)
    if method is not None:
        return _returned(classes, method, depth)
    for cls in (known.cls, *(one for one in classes.ancestors(known.cls) if isinstance(one, Class))):
        variable = name if name.startswith("@") else cls.delegated.get(name, "")
        if variable.startswith("@") and variable in cls.held:
            value, where = cls.held[variable]
            return kind(classes, value, where, depth + 1)
    return None


def _returned(classes: Classes, method: Method, depth: int) -> Known | None:
    inner = method.node.child_by_field_name("body")
    statement = inner if inner is not None and inner.type != "body_statement" else last(body(method.node))
    return kind(classes, statement, method, depth + 1)


def kind(classes: Classes, node: "Node | None", method: Method, depth: int = 0) -> Known | None:
    """What a value is, where the source tells."""
    if node is None or depth > DEEPEST:
        return None
    found = None
    if node.type == "self":
        found = _own(method)
    elif node.type in CONSTANTS:
        cls = classes.find(text(node), method.owner.name if method.owner is not None else "")
        found = Known(cls, singleton=True) if cls is not None else None
    elif node.type == "identifier":
        found = _variable(classes, text(node), method, depth)
    elif node.type == "instance_variable" and method.owner is not None:
        found = _named(classes, Known(method.owner), text(node), depth + 1)
    elif node.type in {"parenthesized_statements", "begin"}:
        found = kind(classes, last(named(node)), method, depth + 1)
    elif node.type in {"assignment", "operator_assignment"}:
        found = kind(classes, node.child_by_field_name("right"), method, depth + 1)
    elif node.type == "binary":
        sides = (node.child_by_field_name(side) for side in ("left", "right"))
        found = next((one for side in sides if (one := kind(classes, side, method, depth + 1)) is not None), None)
    elif node.type == "call":
        found = _called(classes, node, method, depth)
    return found


def _variable(classes: Classes, name: str, method: Method, depth: int) -> Known | None:
    if name in method.locals:
        if method.locals[name] is None and method in classes.handed:
            return classes.handed[method].get(name)
        return kind(classes, method.locals[name], method, depth + 1)
    own = _own(method)
    return _named(classes, own, name, depth) if own is not None else None


def _called(classes: Classes, node: "Node", method: Method, depth: int) -> Known | None:
    """What a call returns."""
    name = text(node.child_by_field_name("method"))
    receiver = node.child_by_field_name("receiver")
    if name == "const_get":
        given = first(arguments_of(node))
        return kind(classes, given, method, depth + 1)
    known = _own(method) if receiver is None else kind(classes, receiver, method, depth + 1)
    if known is None:
        return None
    own = classes.method(known.cls, name, singleton=known.singleton) if name in classes.known else None
    if known.singleton and (name == "new" or (name in FINDS and own is None)):
        return Known(known.cls)
    if own is None and name in SAME:
        return known
    if own is None and receiver is not None and known.singleton:
        return Known(known.cls)  # a scope: what is asked of it may be the class's, or of each of its objects
    return _named(classes, known, name, depth)
