"""What jobs in Ruby are handed, as far as those who enqueue them tell: records, and classes by their names."""

from collections.abc import Iterable, Iterator, Sized
from itertools import islice
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.ruby.calls import answers, edges, kind
from kiqdoctor.probes.code.ruby.classes import Class, Classes, Known, Method, Sent
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
MOST_CALLS: Final = 100_000  # of a method, each for each of these things
MOST_ASKED: Final = 3_000  # calls of one name that are looked at for who is asked

Handed = dict[Method, dict[tuple[str, Known], None]]


def received(classes: Classes, jobs: Iterable[Registered]) -> Handed:
    """By the method that runs, each parameter with what it may be."""
    by_class = {one.cls.name: one.method for one in jobs if not one.symbol}
    found: Handed = {}
    reader = _Reader(classes)
    for method in classes.units:
        for sent in method.calls:
            if sent.last not in NOW and sent.last not in JSON:
                continue
            to = by_class.get(_job(classes, method, sent.name))
            if to is not None:
                told = found.setdefault(to, {})
                told |= dict.fromkeys(reader.handed(method, sent, to))
    return {to: told for to, told in found.items() if _few(to, told)}


def _few(to: Method, told: Sized) -> bool:
    """Whether the method can be followed once for each."""
    return 0 < len(told) <= MOST and len(told) * len(to.calls) <= MOST_CALLS


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


def _positional(method: Method) -> Iterator[str]:
    for one in named(method.node.child_by_field_name("parameters")):
        if one.type not in POSITIONAL:
            return
        yield text(one.child_by_field_name("name") or one)


class _Reader:
    """What enqueues hand over; what is asked of a method is asked once."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._finds: dict[Method, bool] = {}
        self._asked: dict[Method, tuple[Known, ...]] = {}

    def handed(self, method: Method, sent: Sent, to: Method) -> Iterator[tuple[str, Known]]:
        """By the parameters of the job that one enqueue hands something over to."""
        if to not in self._finds:
            self._finds[to] = any(one.last in FOUND for one in to.calls)
        given = arguments_of(sent.node)[JSON.get(sent.last, 0) :]
        for name, node in zip(_positional(to), given, strict=False):
            if node.type in {"pair", "splat_argument"}:
                return
            if self._finds[to]:
                yield from ((name, one) for one in self._named(method, node))
            known = kind(self._classes, node, method) if sent.last in NOW else None
            if known is not None and not known.singleton:
                yield name, known

    def _named(self, method: Method, node: "Node") -> Iterator[Known]:
        """The classes whose name this may be."""
        literal = string(node)
        if literal is not None:
            one = self._classes.all.get(literal.lstrip(":"))
            yield from [Known(one, singleton=True)] if one is not None else []
            return
        word, receiver = text(node), None
        if node.type == "call":
            word, receiver = text(node.child_by_field_name("method")), node.child_by_field_name("receiver")
        if node.type in CONSTANTS or (receiver is not None and receiver.type in CONSTANTS and word in NAMES):
            cls = kind(self._classes, node if receiver is None else receiver, method)
            yield from [cls] if cls is not None else []
        elif word in NAMES and method.owner is not None:
            yield from self._own(method, method.owner, receiver)

    def _own(self, method: Method, owner: Class, receiver: "Node | None") -> Iterable[Known]:
        """Whose name ``name``, ``self.name`` and ``self.class.name`` are."""
        if receiver is not None and text(receiver) in {"self.class", "class"}:
            return [Known(one, singleton=True) for one in (owner, *self._classes.below(owner)[:MOST])]
        if receiver is not None and receiver.type != "self":
            return ()
        if method not in self._asked:
            self._asked[method] = tuple(dict.fromkeys(self._those_asked(method)))
        return self._asked[method]

    def _those_asked(self, method: Method) -> Iterator[Known]:
        """The classes that are asked for this method of theirs, by their names."""
        for unit, sent in islice(self._classes.called(method.short), MOST_ASKED):
            receiver = sent.node.child_by_field_name("receiver")
            if receiver is not None and receiver.type in CONSTANTS:
                known = kind(self._classes, receiver, unit)
                if known is not None and method in answers(self._classes, known, method.short):
                    yield known
