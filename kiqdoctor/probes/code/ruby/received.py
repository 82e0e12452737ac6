"""What jobs in Ruby are handed, as far as those who enqueue them tell: records, and classes by their names."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.ruby.calls import answers, edges, kind
from kiqdoctor.probes.code.ruby.classes import Classes, Known, Method
from kiqdoctor.probes.code.ruby.jobs import Registered
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, arguments_of
from kiqdoctor.probes.tree.ruby import named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node

NOW: Final = frozenset({"perform_later", "perform_now"})
"""Verbs of Active Job, which finds a record again by its id."""
JSON: Final = {"perform_async": 0, "perform_in": 1, "perform_at": 1}
"""Sidekiq's, and where the job's own arguments begin: of objects these carry only names."""
NAMES: Final = frozenset({"name", "to_s"})
FOUND: Final = frozenset({"constantize", "safe_constantize", "const_get"})
"""What makes a class of a name."""
POSITIONAL: Final = frozenset({"identifier", "optional_parameter"})
MOST: Final = 300  # things that one parameter may be

Handed = dict[Method, dict[tuple[str, Known], None]]


def received(classes: Classes, jobs: Iterable[Registered]) -> Handed:
    """By the method that runs, each parameter with what it may be."""
    by_class = {one.cls.name: one.method for one in jobs}
    found: Handed = {}
    for method in classes.units:
        for sent in method.calls:
            if sent.last not in NOW and sent.last not in JSON:
                continue
            to = by_class.get(_job(classes, method, sent.name))
            if to is not None:
                told = found.setdefault(to, {})
                told |= dict.fromkeys(_handed(classes, method, sent.node, sent.last, to))
    return {to: told for to, told in found.items() if 0 < len(told) <= MOST}


def received_edges(classes: Classes, method: Method, told: Iterable[tuple[str, Known]]) -> list[Edge]:
    """The methods that a job runs, whatever it is handed of these."""
    found: dict[Edge, None] = {}
    left = []
    for name, known in told:
        classes.handed[method] = {name: known}
        method.unfollowed = 0
        found |= dict.fromkeys(edges(classes, method))
        left.append(method.unfollowed)
    del classes.handed[method]
    method.unfollowed = min(left)
    return [*found]


def _job(classes: Classes, method: Method, name: str) -> str:
    """The class of a verb: ``Mail`` of ``Mail.set.perform_later``."""
    inside = method.owner.name if method.owner is not None else ""
    head = name.rpartition(".")[0].partition(".")[0]
    if head in {"", "self"}:
        return inside
    cls = classes.find(head, inside)
    return cls.name if cls is not None else ""


def _handed(classes: Classes, method: Method, call: "Node", verb: str, to: Method) -> Iterator[tuple[str, Known]]:
    finds = any(sent.last in FOUND for sent in to.calls)
    for name, node in zip(_positional(to), arguments_of(call)[JSON.get(verb, 0) :], strict=False):
        if node.type in {"pair", "splat_argument"}:
            return
        if finds:
            yield from ((name, one) for one in _named(classes, method, node))
        known = kind(classes, node, method) if verb in NOW else None
        if known is not None and not known.singleton:
            yield name, known


def _positional(method: Method) -> Iterator[str]:
    for one in named(method.node.child_by_field_name("parameters")):
        if one.type not in POSITIONAL:
            return
        yield text(one.child_by_field_name("name") or one)


def _named(classes: Classes, method: Method, node: "Node") -> Iterator[Known]:
    """The classes whose name this may be."""
    literal = string(node)
    if literal is not None:
        yield from (Known(one, singleton=True) for one in [classes.all.get(literal.lstrip(":"))] if one is not None)
        return
    word, receiver = text(node), None
    if node.type == "call":
        word, receiver = text(node.child_by_field_name("method")), node.child_by_field_name("receiver")
    if node.type in CONSTANTS or (receiver is not None and receiver.type in CONSTANTS and word in NAMES):
        cls = kind(classes, node if receiver is None else receiver, method)
        yield from [cls] if cls is not None else []
    elif word in NAMES and method.owner is not None:
        if receiver is not None and text(receiver) in {"self.class", "class"}:
            yield from (Known(one, singleton=True) for one in (method.owner, *classes.below(method.owner)))
        elif receiver is None or receiver.type == "self":
            yield from _asked(classes, method)


def _asked(classes: Classes, method: Method) -> Iterator[Known]:
    """The classes that are asked for this method of theirs, by their names."""
    for unit in classes.units:
        for sent in unit.calls:
            receiver = sent.node.child_by_field_name("receiver") if sent.last == method.short else None
            if receiver is not None and receiver.type in CONSTANTS:
                known = kind(classes, receiver, unit)
                if known is not None and method in answers(classes, known, method.short):
                    yield known
