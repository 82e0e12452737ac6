"""Sorts what stands in a Ruby file by kind and method, in one walk without recursion."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import repeat
from sys import intern
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.ruby.classes import Class, Classes, Method, Sent
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, arguments_of, name_of
from kiqdoctor.probes.tree.ahead import ahead
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.ruby import named, string, text
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass

if TYPE_CHECKING:
    from tree_sitter import Node

PROCS: Final = frozenset({"lambda", "proc"})
COMMITTED: Final = frozenset(
    {f"after_{word}commit" for word in ("", "create_", "update_", "save_", "destroy_", "all_transactions_")}
    | {"run_after_commit", "add_after_commit"}
)
"""Their blocks run once the transaction has committed."""

MIXES: Final = frozenset({"include", "extend", "prepend"})
SENDS: Final = frozenset({"send", "public_send", "__send__"})
READERS: Final = frozenset({"attr_reader", "attr_accessor", "attr"})
MAKERS: Final = frozenset({"Struct", "Class", "Module", "Data"})
HOOKS: Final = frozenset(
    {"sidekiq_retries_exhausted", "sidekiq_retry_in", "retry_on", "discard_on", "rescue_from", "after_discard"}
    | {f"{when}_{what}" for when in ("before", "around", "after") for what in ("perform", "iteration")}
    | {f"on_{what}" for what in ("start", "complete", "shutdown", "resume", "cancel", "stop")}
)
"""What is given to these in a job's class runs with the job."""
QUEUEING: Final = frozenset(
    {f"enqueue{how}" for how in ("", "_to", "_in", "_at", "_in_with_queue", "_at_with_queue")}
    | {"handle_asynchronously"}
)
"""Words that hand an object or a class, or a method of them, to Resque or Delayed Job."""
DELAYING: Final = ("delay", "delay_for", "delay_until")
"""What stands between an object and its method that is to run later: Sidekiq's up to 6, and Delayed Job's."""
DELAYING_LENGTHS: Final = frozenset(map(len, DELAYING))
LEAVES: Final = frozenset(
    {"comment", "string_content", "escape_sequence", "simple_symbol", "hash_key_symbol", "integer"}
    | {"float", "true", "false", "nil", "self", "instance_variable", "class_variable", "global_variable"}
)
"""In these nothing stands: a third of a tree."""
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
            **dict.fromkeys(LEAVES, _nothing),
            **dict.fromkeys(("class", "module"), self._class),
            "singleton_class": self._singleton,
            **dict.fromkeys(("method", "singleton_method"), self._method),
            "call": self._call,
            "identifier": self._word,
            **dict.fromkeys(("constant", "scope_resolution"), self._constant),
            **dict.fromkeys(("assignment", "operator_assignment"), self._assignment),
            **dict.fromkeys(("rescue", "rescue_modifier", "ensure"), self._clause),
            "lambda": self._lambda,
            "super": self._super,
            "alias": self._alias,
            "block_parameters": self._parameters,
        }

    def file(self, path: str, root: "Node") -> None:
        """One file."""
        body = Method(path, path, root, body=True)
        self._classes.lines += root.end_point[0] + 1
        self._classes.units.append(body)
        self._fill([(root, Scope(body))])

    def _fill(self, stack: list[tuple["Node", Scope]]) -> None:
        readers = self._readers
        while stack:
            node, scope = stack.pop()
            reader = readers.get(node.type)
            if reader is None:
                children = node.named_children
                children.reverse()
                stack += zip(children, repeat(scope))
            elif reader is not _nothing:
                stack += [*reader(node, scope)][::-1]

    def _class(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        name = text(node.child_by_field_name("name")).lstrip(":")
        around = scope.owner.name if scope.owner is not None else ""
        full = f"{around}::{name}" if around and len(around) < LONGEST else name
        one = self._classes.all.setdefault(full, Class(full))
        inside = Scope(scope.method, one)
        above = node.child_by_field_name("superclass")
        if above is not None:
            absolute = "::" if "::" in name and not around else ""  # class A::B < C: nobody looks for C in A
            one.above += [absolute + text(named_one).removeprefix(absolute) for named_one in named(above)]
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
            name_node = parameter.child_by_field_name("name") or parameter
            method.locals[text(name_node).lstrip("*&")] = None
            value = parameter.child_by_field_name("value")
            if value is not None:
                yield value, Scope(method, owner)

    def _call(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        method, owner = scope.method, scope.owner
        full = intern(name_of(node))  # there are far more calls than names
        head, _, name = full.rpartition(".")
        name = intern(name)
        method.calls.append(sent := Sent(node, full, scope.block, name))
        receiver = node.child_by_field_name("receiver")
        if name in QUEUEING or head.endswith(DELAYING) or (head == "?" and _is_delaying(receiver)):
            self._classes.queueing.append((method, sent))
        given = node.child_by_field_name("arguments")
        block = node.child_by_field_name("block")
        inside: list[tuple[Node, Scope]] = []
        if receiver is not None:
            inside.append((receiver, scope))
        elif owner is not None and method.body:
            owner.body.append((node, method))
            declared(owner, node, name)
        if owner is not None and method.name in {f"{owner.name}.included", f"{owner.name}.inherited"}:
            owner.above += _mixed(node, name)
        if given is not None:
            inside.append((given, scope))
        if block is not None:
            inside.append((block, self._inside(node, block, name, scope)))
        return inside

    def _inside(self, node: "Node", block: "Node", name: str, scope: Scope) -> Scope:
        """Where a call's block stands."""
        receiver = node.child_by_field_name("receiver")
        apart = self._apart(node, block, name, scope) if receiver is None else None
        if apart is not None:
            return apart
        self._block(scope.method, block, name, receiver)
        return replace(scope, block=True)

    def _apart(self, node: "Node", block: "Node", name: str, scope: Scope) -> Scope | None:
        """Where a block of a class' body stands that is a method, runs with a job, or holds the class's own methods."""
        owner = scope.owner
        if owner is None or not scope.method.body:
            return None
        if name == "class_methods":
            return replace(scope, singleton=True)
        given = arguments_of(node)
        literal = string(given[0]) if given and name == "define_method" else None
        if literal is None and name not in HOOKS:
            return None
        full = f"{owner.name}#{literal}" if literal else f"{owner.name}.{name}"
        method = Method(full, scope.method.path, block, owner)
        self._classes.units.append(method)
        if literal:
            owner.methods[literal] = method
            self._classes.known.add(literal)
        else:
            owner.hooks.append(method)
        return Scope(method, owner)

    def _block(self, method: Method, block: "Node", name: str, receiver: "Node | None") -> None:
        """A block that runs later."""
        is_proc = receiver is not None and receiver.type == "constant" and text(receiver) == "Proc"
        if name in COMMITTED:
            method.committed.append(method.span(block))
        if name in COMMITTED or (name in PROCS if receiver is None else is_proc):
            method.later.append(method.span(block))

    def _word(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        word = text(node)
        if word not in scope.method.words:
            scope.method.words[intern(word)] = scope.method.at(node)
        return ()

    def _constant(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.constants.append(node)
        return ()

    def _assignment(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.assignments.append(node)
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None and right is not None:
            if left.type == "identifier":
                scope.method.locals[text(left)] = right
            elif left.type == "left_assignment_list":
                scope.method.locals |= dict.fromkeys(text(one) for one in named(left) if one.type == "identifier")
            elif left.type == "instance_variable" and scope.owner is not None:
                scope.owner.held.setdefault(text(left), (right, scope.method))
            elif left.type == "constant" and (inside := self._made(left, right, scope)) is not None:
                return inside
        return [(child, scope) for child in node.named_children]

    def _made(self, left: "Node", right: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]] | None:
        """``Point = Struct.new(:x) do ... end`` is a class."""
        block = right.child_by_field_name("block") if right.type == "call" else None
        if block is None or text(right.child_by_field_name("receiver")) not in MAKERS:
            return None
        around = scope.owner.name if scope.owner is not None else ""
        full = f"{around}::{text(left)}" if around and len(around) < LONGEST else text(left)
        one = self._classes.all.setdefault(full, Class(full))
        given = arguments_of(right)
        one.above += [text(above) for above in given if above.type in CONSTANTS]
        return [(block, Scope(scope.method, one))]

    def _super(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.supers.append(node)
        return ()

    def _alias(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        if scope.owner is not None:
            new, old = (text(node.child_by_field_name(field)).lstrip(":") for field in ("name", "alias"))
            scope.owner.stands_for[new] = old
        return ()

    def _parameters(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        for one in named(node):
            scope.method.locals.setdefault(text(one.child_by_field_name("name") or one).lstrip("*&"), None)
        return ()

    def _clause(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.clauses.append(node)
        return [(child, scope) for child in node.named_children]

    def _lambda(self, node: "Node", scope: Scope) -> Iterable[tuple["Node", Scope]]:
        scope.method.later.append(scope.method.span(node))
        body = node.child_by_field_name("body")
        return [(body, replace(scope, block=True))] if body is not None else []


def _is_delaying(receiver: "Node | None") -> bool:
    """``delay.send_out`` of the object itself; a text is made of a few receivers only."""
    length = receiver.end_byte - receiver.start_byte if receiver is not None else 0
    return length in DELAYING_LENGTHS and text(receiver) in DELAYING


def _mixed(node: "Node", name: str) -> list[str]:
    """What ``include X`` mixes in, also as ``base.send(:include, X)``."""
    given = arguments_of(node)
    if name in SENDS and given and string(given[0]) in MIXES:
        return [text(one) for one in given[1:]]
    return [text(one) for one in given] if name in MIXES else []


def _nothing(_: "Node", __: Scope) -> Iterable[tuple["Node", Scope]]:
    return ()


def declared(owner: Class, node: "Node", name: str) -> None:
    """What a call in a class' body says of it: what it mixes in, which names are others' or another's."""
    given = arguments_of(node)
    words = [word for one in given if (word := string(one)) is not None]
    if name in MIXES:
        owner.above += map(text, given)
    elif name == "alias_method" and len(words) > 1:
        owner.stands_for[words[0]] = words[1]
    elif name == "delegate":
        to = (pair.child_by_field_name("value") for pair in given if string(pair.child_by_field_name("key")) == "to")
        owner.delegated |= dict.fromkeys(words, next((string(one) or text(one) for one in to), ""))
    elif name in {"def_delegators", "def_delegator", "def_instance_delegators"} and words:
        owner.delegated |= dict.fromkeys(words[1:], words[0])
    elif name in READERS:
        owner.delegated |= {word: f"@{word}" for word in words}


def classes_of(tree: Tree) -> tuple[Classes, list[tuple[str, str]]]:
    """All of the application's Ruby, and the files that could not be read, each with the reason."""
    classes = Classes()
    unparsed: list[tuple[str, str]] = []
    filler = Filler(classes)
    for file, root in ahead(tree.files(".rb", ".ru", ".rake"), File.ruby):
        if isinstance(root, UnreadableError | UnparsedError):
            unparsed.append((file.path, str(root)))
            continue
        if isinstance(root, Exception):
            raise root
        if root.has_error:
            unparsed.append((file.path, "it has a syntax error; what could be parsed was read"))
        filler.file(file.path, root)
    return classes, unparsed
