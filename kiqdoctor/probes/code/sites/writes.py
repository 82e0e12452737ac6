"""Writes to what does not belong to the function alone: globals, attributes, items, and objects that methods change."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Write, Writes
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.ruby.naming import name_of
from kiqdoctor.probes.code.spans import within
from kiqdoctor.probes.tree.ruby import named, text, walk
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

CHANGES: Final = frozenset({"update", "append", "setdefault", "clear", "pop", "extend", "add", "mount"})
ITEM: Final = "[]"
VARYING: Final = frozenset({"identifier", "instance_variable", "class_variable", "global_variable", "self"})
WAITS: Final = "enqueue_after_transaction_commit"
RESOURCE: Final = "ActiveResource::Base"


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def writes(tree: Tree) -> Writes:
    """All of them; an object's own attributes are its own, unless threads share it."""
    return Writes(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[Write]:
    changing = (call.func for call, _ in function.calls if isinstance(call.func, ast.Attribute))
    targets = [*function.changed, *(one for one in changing if one.attr in CHANGES)]
    spans = index.names.locked(function) if targets else []
    for target in targets:
        name, changed = _changed(function, target)
        name = _outside(index, name)
        made_by = index.names.shared(name)
        if name and (made_by or not index.names.alone(changed)):
            held = any(within(function.at(target), span) for span in spans)
            yield Write(function.number, *function.at(target), name, made_by, held, _is_fixed(function, target))


def _outside(index: "Index", name: str) -> str:
    """The library's own name for it, where the application's stands for that: ``env`` of ``env = os.environ``."""
    meant = index.names.resolved(name) if name else ""
    return meant if meant and "()" not in meant and index.names.outside(meant) else name


def _is_fixed(function: "Function", target: ast.expr) -> bool:
    value = next((one.value for one in function.bindings if one.target is target), None)
    return value is not None and not any(
        isinstance(one, ast.Name) and (one.id in function.locals or one.id in {"self", "cls"})
        for one in ast.walk(value)
    )


def _changed(function: "Function", target: ast.expr) -> tuple[str, str]:
    """What is written, and the object that it changes."""
    module = function.module
    if isinstance(target, ast.Attribute):
        base = module.dotted(target.value, function)
        return (f"{base}.{target.attr}" if base else ""), base
    if isinstance(target, ast.Subscript):
        base = module.dotted(target.value, function)
        return base, base
    name = module.full(target.id) if isinstance(target, ast.Name) and target.id in function.declared else ""
    return name, name


def _ruby(index: "Index", method: "Method") -> Iterator[Write]:
    for node in method.assignments:
        left = node.child_by_field_name("left")
        for target in named(left) if left is not None and left.type == "left_assignment_list" else [left]:
            if target is not None and (name := _target(target, method)):
                made_by = _resource(index, method, name) or _said(name, node)
                fixed = _same(node.child_by_field_name("right"))
                yield Write(method.number, *method.at(target), name, made_by, fixed=fixed)


def _same(value: "Node | None") -> bool:
    """Whether it names nothing but constants: no local, no variable, nothing that only this object answers."""
    return value is not None and not any(
        one.type in VARYING and not _is_word(one) for one in (value, *(part for part in walk(value)))
    )


def _is_word(node: "Node") -> bool:
    """The method's name in ``Settings.key``."""
    parent = node.parent
    method = parent.child_by_field_name("method") if parent is not None and parent.type == "call" else None
    return method is not None and method.start_byte == node.start_byte and parent is not None and _has_receiver(parent)


def _has_receiver(call: "Node") -> bool:
    return call.child_by_field_name("receiver") is not None


def _resource(index: "Index", method: "Method", name: str) -> str:
    """Active Resource keeps what a class is told for all threads."""
    inside = method.owner.name if method.owner is not None else ""
    cls = index.classes.find(name.rpartition(".")[0], inside)
    return RESOURCE if cls is not None and RESOURCE in index.classes.ancestors(cls) else ""


def _said(name: str, node: "Node") -> str:
    """What Active Job is told about commits, where that is a literal."""
    right = node.child_by_field_name("right")
    literal = right is not None and right.type in {"true", "false", "simple_symbol"}
    return text(right) if literal and name.endswith(f".{WAITS}") else ""


def _target(target: "Node", method: "Method") -> str:
    if target.type in {"class_variable", "global_variable"}:
        return text(target)
    if target.type in {"call", "element_reference"}:
        name = name_of(target).removesuffix(ITEM)
        return name if name[:1].isupper() or method.body else ""
    return ""
