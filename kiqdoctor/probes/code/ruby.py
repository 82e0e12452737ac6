"""Ruby's half of the index: job classes, what ``perform`` reaches, and the constants that are used there."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from kiqdoctor.doctor.facts.code import Job, Use
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.ruby import call, named, string, text, walk
from kiqdoctor.probes.tree.tree import Tree

MIXINS: Final = {"Sidekiq::Job", "Sidekiq::Worker"}
BASES: Final = {"ActiveJob::Base", "ApplicationJob"}


@dataclass
class Class:
    """A class or module of the application; its methods by name."""

    name: str
    path: str
    line: int
    above: list[str] = field(default_factory=list)  # superclass and mixins, as written
    methods: dict[str, Any] = field(default_factory=dict)


@dataclass
class Index:
    """All of the application's Ruby."""

    classes: dict[str, Class] = field(default_factory=dict)
    trees: dict[str, Any] = field(default_factory=dict)
    unparsed: list[tuple[str, str]] = field(default_factory=list)


def load(tree: Tree) -> Index:
    """Every Ruby file of the application; a file with errors gives what can be read of it."""
    index = Index()
    for file in tree.files(".rb", ".ru", ".rake"):
        try:
            root = file.ruby()
        except (UnreadableError, UnparsedError) as error:
            index.unparsed.append((file.path, str(error)))
            continue
        if root.has_error:
            index.unparsed.append((file.path, "it has a syntax error; what could be parsed was read"))
        index.trees[file.path] = root
        _classes(index, root, file.path)
    return index


def _classes(index: Index, tree: Any, path: str) -> None:
    stack: list[tuple[Any, str]] = [(tree, "")]
    while stack:
        node, outer = stack.pop()
        inner = outer
        if node.type in {"class", "module"}:
            name = text(node.child_by_field_name("name"))
            inner = f"{outer}::{name}" if outer else name
            found = index.classes.setdefault(inner, Class(inner, path, node.start_point[0] + 1))
            superclass = node.child_by_field_name("superclass")
            if superclass is not None:
                found.above += [text(one) for one in named(superclass)]
        elif node.type in {"method", "singleton_method"} and outer:
            index.classes[outer].methods[text(node.child_by_field_name("name"))] = node
            continue
        elif node.type == "call" and outer:
            receiver, method, arguments = call(node)
            if not receiver and method in {"include", "extend", "prepend"}:
                index.classes[outer].above += map(text, arguments)
        stack += [(child, inner) for child in reversed(node.children)]


def jobs(index: Index) -> list[tuple[Class, Job]]:
    """Classes with ``perform`` that are jobs by mixin, or by what they inherit."""
    return [
        (one, Job(one.name, one.path, one.line, "ruby"))
        for one in index.classes.values()
        if "perform" in one.methods and _is_job(index, one, set())
    ]


def _is_job(index: Index, one: Class, seen: set[str]) -> bool:
    seen.add(one.name)
    for above in (name.lstrip(":") for name in one.above):
        if above in MIXINS or above in BASES:
            return True
        parent = _find(index, above, one.name)
        if parent is not None and parent.name not in seen and _is_job(index, parent, seen):
            return True
    return False


def _find(index: Index, name: str, inside: str) -> Class | None:
    """A constant as Ruby looks it up: in the class, outwards."""
    name = name.lstrip(":")
    outer = inside
    while outer:
        if f"{outer}::{name}" in index.classes:
            return index.classes[f"{outer}::{name}"]
        outer = outer.rpartition("::")[0]
    return index.classes.get(name)


@dataclass(frozen=True)
class Reached:
    """A method that a job leads to."""

    owner: Class
    method: str
    chain: tuple[str, ...]


def reach(index: Index, start: Class) -> list[Reached]:
    """``perform`` and all that it calls within the application."""
    found: dict[tuple[str, str], Reached] = {}
    queue = deque([Reached(start, "perform", (start.name,))])
    while queue:
        one = queue.popleft()
        if (one.owner.name, one.method) in found:
            continue
        found[one.owner.name, one.method] = one
        for owner, method in _called(index, one):
            queue.append(Reached(owner, method, (*one.chain, f"{owner.name}#{method}")))
    return list(found.values())


def _called(index: Index, one: Reached) -> Iterator[tuple[Class, str]]:
    for node in walk(one.owner.methods[one.method]):
        receiver, method, _ = call(node)
        if node.type == "identifier":
            receiver, method = "", text(node)
        if not method:
            continue
        target = one.owner if receiver in {"", "self"} else _find(index, _constant(node), one.owner.name)
        owner = _with_method(index, target, method, set()) if target is not None else None
        if owner is not None:
            yield owner, method
            if method == "call" and "initialize" in owner.methods:
                yield owner, "initialize"


def _constant(node: Any) -> str:
    """``ImageTool`` of ``ImageTool.run``, ``ImageTool.new.run`` and ``ImageTool.new(x).run``."""
    receiver = node.child_by_field_name("receiver") if node.type == "call" else None
    while receiver is not None and receiver.type == "call":
        receiver = receiver.child_by_field_name("receiver")
    return text(receiver) if receiver is not None and receiver.type in {"constant", "scope_resolution"} else ""


def _with_method(index: Index, one: Class, method: str, seen: set[str]) -> Class | None:
    if method in one.methods:
        return one
    seen.add(one.name)
    for above in one.above:
        parent = _find(index, above, one.name)
        if parent is not None and parent.name not in seen and (found := _with_method(index, parent, method, seen)):
            return found
    return None


def uses(index: Index, reached: list[Reached]) -> Iterator[Use]:
    """What reached methods use, with their chains; and what any file does when it is loaded."""
    for one in reached:
        yield from _uses(index, one.owner.methods[one.method], one.owner.path, one.chain, one.owner.name)
    for path, tree in index.trees.items():
        yield from _uses(index, tree, path, (), "")


def _uses(index: Index, tree: Any, path: str, chain: tuple[str, ...], inside: str) -> Iterator[Use]:
    for node in walk(tree):
        line, column = node.start_point[0] + 1, node.start_point[1] + 1
        at = (path, line, column, chain, "ruby")
        if node.type in {"constant", "scope_resolution"} and _outermost(node):
            name = text(node).lstrip(":")
            own = _find(index, name, inside)
            for subject in [name] if own is None else _ancestors(index, own):
                yield Use("import", subject, *at)
        receiver, method, arguments = call(node)
        if receiver:
            yield Use("call", f"{receiver.lstrip(':')}.{method}", *at)
            yield from _settings(receiver, method, at)
        elif method in {"require", "gem"} and arguments and string(arguments[0]):
            yield Use("import", string(arguments[0]) or "", *at)
        if node.type in {"assignment", "operator_assignment"}:
            left = node.child_by_field_name("left")
            if left is not None and left.type in {"call", "element_reference"} and text(left)[:1].isupper():
                yield Use("mutated", text(left), *at)
            if left is not None and text(left).endswith(".limit") and "Sidekiq::Queue" in text(left):
                yield Use("setting", "limit_fetch:limits", *at)
        if node.type == "pair" and string(node.child_by_field_name("key")) == "namespace" and not chain:
            yield Use("setting", "sidekiq:namespace", *at)


def _outermost(node: Any) -> bool:
    """A constant that is used, not a part of a longer name, and not a class's own name."""
    parent = node.parent
    if parent is None or parent.type == "scope_resolution":
        return False
    return not (parent.type in {"class", "module"} and parent.child_by_field_name("name") == node)


def _ancestors(index: Index, one: Class) -> list[str]:
    """Constants from outside that a class of the application descends from or mixes in."""
    found: list[str] = []
    todo, seen = [one], {one.name}
    while todo:
        for above in todo.pop().above:
            parent = _find(index, above, one.name)
            if parent is None:
                found.append(above.lstrip(":"))
            elif parent.name not in seen:
                seen.add(parent.name)
                todo.append(parent)
    return found


def _settings(receiver: str, method: str, at: tuple[Any, ...]) -> Iterator[Use]:
    if method == "enable_delay!":
        yield Use("setting", "sidekiq:enable_delay!", *at)
    if receiver.lstrip(":") == "Sidekiq::Logger::Formatters::JSON":
        yield Use("setting", "sidekiq:json_formatter", *at)


def at_load(index: Index) -> Iterator[Use]:
    """Objects that initializers build: what a fork would inherit."""
    for path, tree in index.trees.items():
        if not path.startswith("config/"):
            continue
        for node in walk(tree):
            receiver, method, _ = call(node)
            if method in {"new", "current", "redis", "lookup"} and receiver[:1].isupper() and not _deferred(node):
                yield Use("before_fork", receiver, path, node.start_point[0] + 1, 1, (), "ruby")


def _deferred(node: Any) -> bool:
    """Inside a block or a method, which runs later."""
    parent = node.parent
    while parent is not None:
        if parent.type in {"block", "do_block", "method", "singleton_method", "lambda"}:
            return True
        parent = parent.parent
    return False
