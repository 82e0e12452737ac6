"""Changes, under no lock, of what all threads of a process see: globals, class attributes, default arguments."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code.state import Change, StateWrite, StateWrites
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.python.names import taken
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, name_of
from kiqdoctor.probes.code.ruby.shared import kept_as
from kiqdoctor.probes.code.spans import within
from kiqdoctor.probes.tree.ruby import block, named, text, walk
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Class, Method

FILLS: Final = frozenset(
    {"append", "extend", "insert", "remove", "pop", "popitem", "clear", "update", "setdefault", "add", "discard"}
    | {"appendleft", "popleft"}
)
CONTAINERS: Final = frozenset(
    {"list()", "dict()", "set()", "collections.defaultdict()", "collections.deque()", "collections.Counter()"}
    | {"collections.OrderedDict()"}
)
LITERALS: Final = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)
RUBY_FILLS: Final = frozenset(
    {"push", "append", "unshift", "prepend", "concat", "add", "add?", "store", "merge!", "update", "replace", "delete"}
    | {"delete_if", "reject!", "select!", "keep_if", "pop", "shift", "clear", "insert"}
)
MAKERS: Final = frozenset({"Hash.new", "Array.new", "Set.new", "Set[]"})
GLOBALS: Final = frozenset(
    {"$stdout", "$stderr", "$stdin", "$VERBOSE", "$DEBUG", "$PROGRAM_NAME", "$0", "$,", "$;", "$/"}
)


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def state_writes(tree: Tree) -> StateWrites:
    """All but those under a lock, and those of what is built for one thread each."""
    constants = _Constants()
    return StateWrites(*sites(tree, _python, lambda index, method: _ruby(index, method, constants)))


def _python(index: "Index", function: "Function") -> Iterator[StateWrite]:
    if not isinstance(function.node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    found = [*_set(index, function), *_filled(index, function)]
    if not found:
        return
    spans = [*index.names.locked(function), *(function.span(one) for one in function.withs if _locks(one))]
    spans += taken(function, lambda lock: _says_lock(ast.unparse(lock)))
    asked = _conditions(function.node)
    for node, name, holder, change in found:
        if not any(within(function.at(node), span) for span in spans):
            last = name.rpartition(".")[2]
            once = change is Change.SET and last in asked
            yield StateWrite(function.number, *function.at(node), name, holder, Change.ONCE if once else change)


def _locks(node: ast.With | ast.AsyncWith) -> bool:
    return _says_lock(" ".join(ast.unparse(item.context_expr) for item in node.items))


def _says_lock(words: str) -> bool:
    return any(word in words.lower() for word in ("lock", "mutex", "semaphore", "condition"))


def _conditions(node: ast.AST) -> set[str]:
    """Names that a condition of this function asks for."""
    tests = [one.test for one in ast.walk(node) if isinstance(one, ast.If | ast.IfExp)]
    parts = [part for test in tests for part in ast.walk(test)]
    found = {one.id for one in parts if isinstance(one, ast.Name)}
    found |= {one.attr for one in parts if isinstance(one, ast.Attribute)}
    return found | {one.value for one in parts if isinstance(one, ast.Constant) and isinstance(one.value, str)}


Found = tuple[ast.expr, str, str, Change]


def _set(index: "Index", function: "Function") -> Iterator[Found]:
    found = [(target, *named_) for target in function.changed for named_ in _attribute(index, function, target)]
    if not found:
        return
    added = {id(one.target) for one in ast.walk(function.node) if isinstance(one, ast.AugAssign)}
    for target, name, holder in found:
        yield target, name, holder, Change.COUNTED if id(target) in added else Change.SET


def _attribute(index: "Index", function: "Function", target: ast.expr) -> Iterator[tuple[str, str]]:
    if isinstance(target, ast.Name) and target.id in function.declared:
        yield function.module.full(target.id), "a global"
    elif isinstance(target, ast.Attribute):
        base = _base(function, target.value)
        name = f"{base}.{target.attr}"
        if base in index.names.classes and not _apart(index, base):
            yield name, "a class attribute"
        elif base not in index.names.classes and "()" not in name and name in index.names.held:
            yield name, "a global"  # of another module


def _base(function: "Function", node: ast.expr) -> str:
    """The class that is written to; also of ``type(self).x`` and ``self.__class__.x``."""
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "type" and len(node.args) == 1:
        return function.module.dotted(node.args[0], function).removesuffix("()")
    if isinstance(node, ast.Attribute) and node.attr == "__class__":
        return function.module.dotted(node.value, function).removesuffix("()")
    return function.module.dotted(node, function)


def _apart(index: "Index", cls: str) -> bool:
    return any(one.rpartition(".")[2].lower() in {"local", "contextvar"} for one in index.names.above(cls))


def _filled(index: "Index", function: "Function") -> Iterator[Found]:
    nodes: list[tuple[ast.expr, ast.expr, Change]] = [
        (one, one.value, Change.FILLED) for one in function.changed if isinstance(one, ast.Subscript)
    ]
    called = [call.func for call, _ in function.calls if isinstance(call.func, ast.Attribute)]
    nodes += [(one, one.value, Change.FILLED) for one in called if one.attr in FILLS]
    defaults = _defaults(function)
    for node, container, change in nodes:
        if isinstance(container, ast.Name) and container.id in defaults:
            yield node, f"{function.full}({container.id})", "a default argument", change
            continue
        name = function.module.dotted(container, function)
        key = index.names.held_as(name) if name else ""
        if (
            key
            and not key.endswith("()")
            and "()" not in key
            and _is_container(index, key)
            and not _own(index, name, key)
        ):
            holder = "a class attribute" if key.rpartition(".")[0] in index.names.classes else "a global"
            yield node, key, holder, change


def _defaults(function: "Function") -> set[str]:
    """Parameters that are a list or mapping by default and nothing else later."""
    node = function.node
    if isinstance(node, ast.Module):
        return set()
    every = [*node.args.posonlyargs, *node.args.args]
    pairs = [*zip(every[len(every) - len(node.args.defaults) :], node.args.defaults, strict=True)]
    pairs += [(one, value) for one, value in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True) if value]
    bound = {one.target.id for one in function.bindings if isinstance(one.target, ast.Name)}
    return {one.arg for one, value in pairs if isinstance(value, LITERALS) and one.arg not in bound}


def _is_container(index: "Index", key: str) -> bool:
    module, value = index.names.held[key]
    return isinstance(value, LITERALS) or module.dotted(value) in CONTAINERS


def _own(index: "Index", name: str, key: str) -> bool:
    """Whether each object may have one of its own: some method of its family sets it, or its base copies it."""
    owner, _, last = key.rpartition(".")
    if owner not in index.names.classes:
        return False
    _, node = index.names.classes[owner]
    annotated = any(isinstance(one, ast.AnnAssign) and getattr(one.target, "id", "") == last for one in node.body)
    if annotated and (node.decorator_list or any(index.names.outside(one) for one in index.names.above(owner))):
        return True
    family = {owner, name.partition("()")[0], *index.names.above(owner), *index.names.below(owner)}
    return any(
        isinstance(target, ast.Attribute) and target.attr == last and getattr(target.value, "id", "") == "self"
        for unit in index.names.units
        if unit.owner and unit.module.full(unit.owner) in family
        for target in unit.changed
    )


class _Constants:
    """Which constants hold what can be filled: told once, by their own names."""

    def __init__(self) -> None:
        self._known: dict[str, bool] | None = None

    def filled(self, index: "Index", node: "Node") -> str:
        """The name of a constant that is a list, a mapping or a set wherever it is set; "" for any other."""
        if self._known is None:
            self._known = {}
            bodies = (unit for unit in index.classes.units if unit.body)
            for one in (one for unit in bodies for one in unit.assignments):
                left, right = one.child_by_field_name("left"), one.child_by_field_name("right")
                if left is not None and left.type == "constant":
                    name = text(left)
                    self._known[name] = self._known.get(name, True) and _is_fillable(right)
        name = text(node) if node.type in CONSTANTS else ""
        return name if self._known.get(name.rpartition("::")[2], False) else ""


def _is_fillable(node: "Node | None") -> bool:
    if node is None or node.type in {"array", "hash"}:
        return node is not None
    return node.type == "call" and name_of(node).removeprefix("::") in MAKERS


def _ruby(index: "Index", method: "Method", constants: _Constants) -> Iterator[StateWrite]:
    if method.body:
        return
    found = [(target, node) for node in method.assignments for target in _targets(node)]
    found += [(left, node) for left, node in _pushed(method)]
    held = [(one, name, holder, node) for one, node in found for name, holder in _shared(index, method, one)]
    held += [
        (target, name, "a constant", node)
        for target, changed, node in _changed(method)
        if (name := constants.filled(index, changed))
    ]
    if not held:
        return
    spans = [method.span(one.node) for one in method.calls if one.name.endswith("synchronize") and block(one.node)]
    asked = {text(one) for node in walk(method.node) for one in _asked(node)}
    for one, name, holder, node in held:
        if not any(within(method.at(one), span) for span in spans):
            yield StateWrite(method.number, *method.at(one), name, holder, _change(node, text(one), asked))


def _pushed(method: "Method") -> Iterator[tuple["Node", "Node"]]:
    """``@@seen << id``."""
    for node in walk(method.node) if b"@@" in (method.node.text or b"") else ():
        left = node.child_by_field_name("left") if node.type == "binary" else None
        if left is not None and text(node.child_by_field_name("operator")) == "<<":
            yield left, node


def _changed(method: "Method") -> Iterator[tuple["Node", "Node", "Node"]]:
    """``SEEN[id] = 1``, ``SEEN << id``, ``SEEN.add(id)``: where, of what, and by what."""
    for node in method.assignments:
        for target in _targets(node):
            changed = target.child_by_field_name("object") if target.type == "element_reference" else None
            if changed is not None:
                yield target, changed, node
    for sent in method.calls:
        receiver = sent.node.child_by_field_name("receiver") if sent.last in RUBY_FILLS else None
        if receiver is not None:
            yield sent.node, receiver, sent.node
    for node in walk(method.node) if method.constants and b"<<" in (method.node.text or b"") else ():
        left = node.child_by_field_name("left") if node.type == "binary" else None
        if left is not None and text(node.child_by_field_name("operator")) == "<<":
            yield left, left, node


def _targets(node: "Node") -> Iterator["Node"]:
    left = node.child_by_field_name("left")
    if left is not None:
        yield from named(left) if left.type == "left_assignment_list" else [left]


def _asked(node: "Node") -> Iterator["Node"]:
    if node.type in {"if", "unless", "if_modifier", "unless_modifier", "conditional"}:
        condition = node.child_by_field_name("condition")
        yield from walk(condition) if condition is not None else ()


def _change(node: "Node", name: str, asked: set[str]) -> Change:
    if node.type == "operator_assignment":
        lazily = text(node.child_by_field_name("operator")) == "||="
        return Change.ONCE if lazily else Change.COUNTED
    if node.type in {"binary", "call"} or name[-1:] == "]":
        return Change.FILLED if name not in asked else Change.ONCE
    return Change.ONCE if name in asked else Change.SET


def _shared(index: "Index", method: "Method", target: "Node") -> Iterator[tuple[str, str]]:
    """What is written to where all threads see it: name and holder."""
    owner = method.owner.name if method.owner is not None else ""
    item = target.type == "element_reference"
    one = target.child_by_field_name("object") if item else target
    if one is None:
        return
    if one.type == "class_variable":
        yield f"{owner}.{text(one)}", "a class variable"
    elif one.type == "global_variable" and text(one) not in GLOBALS and text(one)[1:2].islower():
        yield text(one), "a global"
    elif one.type == "instance_variable" and method.singleton and method.node.type in {"method", "singleton_method"}:
        yield f"{owner}.{text(one)}", "a variable of the class"
    elif one.type == "call" and not item and (cls := _class_of(index, method, one)) is not None:
        name = text(one.child_by_field_name("method"))
        if kept_as(cls, name):
            yield f"{cls.name}.{name}", "a variable of the class"


def _class_of(index: "Index", method: "Method", node: "Node") -> "Class | None":
    """The class that is asked: by its name, by ``self.class``, or by ``self`` in its own method."""
    receiver = node.child_by_field_name("receiver")
    if receiver is None:
        return None
    owner = method.owner
    if receiver.type in CONSTANTS:
        return index.classes.find(text(receiver), owner.name if owner is not None else "")
    of_class = text(receiver) == "self.class" or (text(receiver) == "self" and method.singleton)
    return owner if of_class else None
