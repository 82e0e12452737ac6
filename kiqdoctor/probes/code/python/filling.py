"""Sorts what stands in a function by kind, in one walk without recursion; a function within it is one of its own."""

import ast
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.python.module import Binding, Function, FunctionNode, Load, Module


def fill(function: Function, nodes: Iterable[ast.AST], owner: str) -> None:
    """Sort what stands in a function by kind; a function within it is one of its own."""
    stack: list[tuple[ast.AST, str]] = [(node, owner) for node in reversed([*nodes])]
    while stack:
        node, owner = stack.pop()
        reader = _READERS.get(type(node))
        children = _below(node) if reader is None else reader(function, node, owner)
        stack += [(child, owner) for child in reversed([*children])]


def _below(node: ast.AST) -> list[ast.AST]:
    """A node's children but for those in which nothing stands: half of a tree."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if type(value) is list:
            found += [one for one in value if isinstance(one, ast.AST) and type(one) not in _EMPTY]
        elif isinstance(value, ast.AST) and type(value) not in _EMPTY:
            found.append(value)
    return found


def _function(outer: Function, node: FunctionNode, owner: str) -> Iterator[ast.AST]:
    module = outer.module
    inside = Function(module, _within(outer, owner, node.name), node, owner, outer)
    module.functions[inside.name] = inside
    module.units.append(inside)
    if outer.name and not owner:
        outer.aliases[node.name] = module.full(inside.name)
    if outer.name and (owner or node.decorator_list):
        outer.edges.append(Edge(inside, outer.at(node), called=False))  # somebody else calls it, who was handed it here
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    inside.locals = {one.arg for one in every if one is not None} - {"self", "cls"}
    for decorator in node.decorator_list:
        yield from (
            (decorator.func, *decorator.args, *decorator.keywords) if isinstance(decorator, ast.Call) else (decorator,)
        )
    yield from (one for one in (*arguments.defaults, *arguments.kw_defaults) if one is not None)
    fill(inside, node.body, "")


def _class(function: Function, node: ast.ClassDef, owner: str) -> Iterator[ast.AST]:
    name = _within(function, owner, node.name)
    function.module.classes[name] = node
    if function.name and not owner:
        function.aliases[node.name] = function.module.full(name)
    yield from (*node.bases, *node.keywords, *node.decorator_list)
    fill(function, node.body, name)


def _within(function: Function, owner: str, name: str) -> str:
    around = owner or function.name
    return f"{around}.{name}" if around else name


def _import(function: Function, node: ast.Import | ast.ImportFrom, _: str) -> Iterator[ast.AST]:
    function.imports.append(node)
    function.aliases |= dict(_aliases(node, function.module))
    yield from ()


def _aliases(node: ast.Import | ast.ImportFrom, module: Module) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.ImportFrom):
        base = module.base_of(node)
        for alias in node.names:
            if alias.name == "*":
                module.stars.append(base)
                continue
            yield alias.asname or alias.name, f"{base}.{alias.name}" if base else alias.name
        return
    for alias in node.names:
        first = alias.name.partition(".")[0]
        yield (alias.asname, alias.name) if alias.asname else (first, first)


def _if(function: Function, node: ast.If, _: str) -> Iterator[ast.AST]:
    """What is imported for types alone has a name, and is never loaded."""
    if getattr(node.test, "attr", getattr(node.test, "id", "")) != "TYPE_CHECKING":
        yield from _below(node)
        return
    for statement in node.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            function.aliases |= dict(_aliases(statement, function.module))
    yield from node.orelse


def _call(function: Function, node: ast.Call, _: str) -> Iterator[ast.AST]:
    function.calls.append((node, ""))
    yield from _beneath(node.func)
    yield from (*node.args, *node.keywords)


def _beneath(node: ast.expr) -> Iterator[ast.AST]:
    """What a chain of attributes is taken of, where that is more than a name."""
    while isinstance(node, ast.Attribute):
        node = node.value
    if not isinstance(node, ast.Name):
        yield node


def _load(function: Function, node: Load, _: str) -> Iterator[ast.AST]:
    if isinstance(node.ctx, ast.Load):
        function.loads.append((node, ""))
        yield from _beneath(node)
    elif isinstance(node, ast.Attribute):
        yield node.value


def _assign(function: Function, node: ast.Assign | ast.Delete, owner: str) -> Iterator[ast.AST]:
    value = node.value if isinstance(node, ast.Assign) else None
    for target in node.targets:
        if value is not None:
            function.bindings.append(Binding(owner, target, value))
        function.changed += _parts(target)
    yield from _below(node)


def _parts(target: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from _parts(one)
    else:
        yield target


def _assign_one(
    function: Function, node: ast.AugAssign | ast.AnnAssign | ast.NamedExpr, owner: str
) -> Iterator[ast.AST]:
    if node.value is not None and not isinstance(node, ast.AugAssign):
        function.bindings.append(Binding(owner, node.target, node.value))
    if node.value is not None:
        function.changed.append(node.target)
        yield node.value
    yield node.target


def _with(function: Function, node: ast.With | ast.AsyncWith, owner: str) -> Iterator[ast.AST]:
    function.withs.append(node)
    for item in node.items:
        if item.optional_vars is not None:
            function.bindings.append(Binding(owner, item.optional_vars, item.context_expr))
    yield from _below(node)


def _loop(function: Function, node: ast.For | ast.AsyncFor | ast.comprehension, owner: str) -> Iterator[ast.AST]:
    function.bindings.append(Binding(owner, node.target, None))
    yield from _below(node)


def _try(function: Function, node: ast.Try | ast.TryStar, _: str) -> Iterator[ast.AST]:
    function.tries.append(node)
    function.locals |= {handler.name for handler in node.handlers if handler.name}
    yield from _below(node)


def _lambda(function: Function, node: ast.Lambda, _: str) -> Iterator[ast.AST]:
    function.later.append(function.span(node))
    yield node.body


def _global(function: Function, node: ast.Global, _: str) -> Iterator[ast.AST]:
    function.declared |= set(node.names)
    yield from ()


def _return(function: Function, node: ast.Return, _: str) -> Iterator[ast.AST]:
    if node.value is not None:
        function.returns.append(node.value)
        yield node.value


_EMPTY: Final = frozenset(
    {ast.Constant, ast.Pass, ast.Break, ast.Continue, ast.Load, ast.Store, ast.Del, ast.alias}
    | {*ast.operator.__subclasses__(), *ast.boolop.__subclasses__(), *ast.unaryop.__subclasses__()}
    | {*ast.cmpop.__subclasses__()}
)
_READERS: Final[dict[type[ast.AST], Callable[..., Iterator[ast.AST]]]] = {
    **dict.fromkeys((ast.FunctionDef, ast.AsyncFunctionDef), _function),
    ast.ClassDef: _class,
    **dict.fromkeys((ast.Import, ast.ImportFrom), _import),
    ast.If: _if,
    ast.Call: _call,
    **dict.fromkeys((ast.Name, ast.Attribute), _load),
    **dict.fromkeys((ast.Assign, ast.Delete), _assign),
    **dict.fromkeys((ast.AugAssign, ast.AnnAssign, ast.NamedExpr), _assign_one),
    **dict.fromkeys((ast.With, ast.AsyncWith), _with),
    **dict.fromkeys((ast.For, ast.AsyncFor, ast.comprehension), _loop),
    **dict.fromkeys((ast.Try, ast.TryStar), _try),
    ast.Lambda: _lambda,
    ast.Global: _global,
    ast.Return: _return,
}
