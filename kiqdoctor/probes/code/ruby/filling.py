"""Sorts what stands in a Ruby file by kind and method, in one walk without recursion."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.ruby.classes import Class, Classes, Method, Sent
from kiqdoctor.probes.code.ruby.naming import name_of
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.ruby import named, text
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from tree_sitter import Node

PROCS: Final = frozenset({"lambda", "proc"})
COMMITTED: Final = frozenset(
    {f"after_{word}commit" for word in ("", "create_", "update_", "save_", "destroy_", "all_transactions_")}
    | {"run_after_commit", "add_after_commit"}
)
"""Their blocks run once the transaction has committed."""

LONGEST: Final = 500  # characters of a name; nobody nests so deep


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a node stands: in which method of which class."""

    method: Method
    owner: Class | None = None
    singleton: bool = False
    block: bool = False


class Filler:
    """Walks files into classes."""

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._readers: Final[dict[str, Callable[[Node, Scope], Iterable[tuple[Node, Scope]]]]] = {
            **dict.fromkeys(("class", "module"), self._class),
            "singleton_class": self._singleton,
            **dict.fromkeys(("method", "singleton_method"), self._method),
            "call": self._call,
            "identifier": self._word,
            **dict.fromkeys(("constant", "scope_resolution"), self._constant),
            **dict.fromkeys(("assignment", "operator_assignment"), self._assignment),
            **dict.fromkeys(("rescue", "rescue_modifier", "ensure"), self._clause),
            "lambda": self._lambda,
            **dict.fromkeys(("block_parameters", "comment"), _nothing),
        }

    def file(self, path: str, root: "Node") -> None:
        """One file."""
        body = Method(path, path, root, body=True)
        self._classes.units.append(body)
        self._fill([(root, Scope(body))])

    def _fill(self, stack: list[tuple["Node", Scope]]) -> None:
        while stack:
            node, scope = stack.pop()
            reader = self._readers.get(node.type)
            if reader is None:
                stack += [(child, scope) for child in reversed(node.named_children)]
            else:
                stack += reversed([*reader(node, scope)])

    def _class(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        name = text(node.child_by_field_name("name")).lstrip(":")
        around = scope.owner.name if scope.owner is not None else ""
        full = f"{around}::{name}" if around and len(around) < LONGEST else name
        one = self._classes.all.setdefault(full, Class(full))
        inside = Scope(scope.method, one)
        above = node.child_by_field_name("superclass")
        if above is not None:
            one.above += [text(named_one) for named_one in named(above)]
            yield above, scope
        body = node.child_by_field_name("body")
        if body is not None:
            yield body, inside

    def _singleton(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        body = node.child_by_field_name("body")
        if body is not None:
            yield body, replace(scope, singleton=True)

    def _method(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        name = text(node.child_by_field_name("name"))
        singleton = scope.singleton or node.type == "singleton_method"
        owner = scope.owner
        full = f"{owner.name}{'.' if singleton else '#'}{name}" if owner is not None else name
        method = Method(full, scope.method.path, node, owner)
        self._classes.units.append(method)
        side = self._classes.top if owner is None else owner.singletons if singleton else owner.methods
        side[name] = method
        self._classes.known.add(name)
        body = node.child_by_field_name("body")
        if body is not None:
            yield body, Scope(method, owner)
        for parameter in named(node.child_by_field_name("parameters")):
            value = parameter.child_by_field_name("value")
            if value is not None:
                yield value, Scope(method, owner)

    def _call(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        full = name_of(node)
        scope.method.calls.append(Sent(node, full, scope.block))
        receiver = node.child_by_field_name("receiver")
        block = node.child_by_field_name("block")
        name = full.rpartition(".")[2]
        if receiver is not None:
            yield receiver, scope
        elif scope.owner is not None and scope.method.body:
            scope.owner.body.append((node, scope.method))
            if name in {"include", "extend", "prepend"}:
                scope.owner.above += map(text, named(node.child_by_field_name("arguments")))
        given = node.child_by_field_name("arguments")
        if given is not None:
            yield given, scope
        if block is not None:
            self._block(scope.method, block, name, receiver)
            yield block, replace(scope, block=True)

    def _block(self, method: Method, block: "Node", name: str, receiver: "Node | None") -> None:
        """A block that runs later."""
        is_proc = receiver is not None and receiver.type == "constant" and text(receiver) == "Proc"
        if name in COMMITTED:
            method.committed.append(method.span(block))
        if name in COMMITTED or (name in PROCS if receiver is None else is_proc):
            method.later.append(method.span(block))

    def _word(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.words.setdefault(text(node), scope.method.at(node))
        return ()

    def _constant(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.constants.append(node)
        return ()

    def _assignment(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.assignments.append(node)
        return [(child, scope) for child in node.named_children]

    def _clause(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.clauses.append(node)
        return [(child, scope) for child in node.named_children]

    def _lambda(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.later.append(scope.method.span(node))
        body = node.child_by_field_name("body")
        return [(body, replace(scope, block=True))] if body is not None else []


def _nothing(_: "Node", __: Scope) -> Iterable[tuple["Node", Scope]]:
    return ()


def classes_of(tree: Tree) -> tuple[Classes, list[tuple[str, str]]]:
    """All of the application's Ruby, and the files that could not be read, each with the reason."""
    classes = Classes()
    unparsed: list[tuple[str, str]] = []
    filler = Filler(classes)
    for file in tree.files(".rb", ".ru", ".rake"):
        try:
            root = file.ruby()
        except (UnreadableError, UnparsedError) as error:
            unparsed.append((file.path, str(error)))
            continue
        if root.has_error:
            unparsed.append((file.path, "it has a syntax error; what could be parsed was read"))
        filler.file(file.path, root)
    return classes, unparsed
