"""Reads Python modules: fills their functions, then says what names stand for."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.code.python.filling import fill
from kiqdoctor.probes.code.python.module import BUILTINS, Binding, Function, Module
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.probes.code.python.roots import Roots
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree

CACHES: Final = {"functools.cache", "functools.lru_cache", "functools.cached_property"}
LONGEST_NAME: Final = 300  # characters; ``q = q.filter()`` on every line makes no name that anybody asks for


def names_of(tree: Tree) -> tuple[Names, list[tuple[str, str]]]:
    """All modules, and the files that could not be read, each with the reason."""
    modules: list[Module] = []
    unparsed: list[tuple[str, str]] = []
    files = {}
    for file in tree.files(".py"):
        try:
            files[file] = file.content()
        except UnreadableError as error:
            unparsed.append((file.path, str(error)))
    roots = Roots({file.path: content for file, content in files.items()})
    for file in files:
        try:
            modules.append(read(roots.module_name(file.path), file.path, file.python()))
        except UnparsedError as error:
            unparsed.append((file.path, str(error)))
    return Names(modules), unparsed


def read(name: str, path: str, tree: ast.Module) -> Module:
    """The module."""
    module = Module(name, path, tree)
    fill(module.body, tree.body, "")
    module.packages = {name.partition(".")[0] for unit in module.units for name in unit.aliases.values()}
    for function in module.units:
        _annotate(function)
        for binding in function.bindings:
            _bind(function, binding)
        _keep(function)
    for function in module.units:
        function.calls = [(node, module.dotted(node.func, function)) for node, _ in function.calls]
        function.loads = [(node, module.dotted(node, function)) for node, _ in function.loads]
    return module


def _annotate(function: Function) -> None:
    """Parameters are what their annotations say."""
    if isinstance(function.node, ast.Module):
        return
    given = function.node.args
    for one in (*given.posonlyargs, *given.args, *given.kwonlyargs):
        name = function.module.annotated(one.annotation, function.outer) if one.annotation is not None else ""
        if name and name not in BUILTINS and not name.startswith(("typing.", "collections.abc.")):
            function.types[one.arg] = f"{name}()"


def _bind(function: Function, binding: Binding) -> None:
    """A global or class-level name holds what it is bound to; a local one stands for it."""
    module = function.module
    for name, value in _names(binding.target, binding.value):
        if binding.owner:
            _hold(module, f"{binding.owner}.{name}", value)
        elif function is module.body:
            _hold(module, name, value)
        elif name in function.declared:
            if not isinstance(value, ast.Constant):
                _hold(module, name, value)
        elif name.startswith("self."):
            _keep_given(function, name[5:], value)
        else:
            function.locals.add(name)
            if value is not None:
                function.values[name] = value
            if (built := module.dotted(value, function)) and len(built) <= LONGEST_NAME:
                function.types[name] = built


def _keep_given(function: Function, attribute: str, value: ast.expr | None) -> None:
    """What a constructor sets, unless its class says something of it first."""
    module, key = function.module, f"{function.owner}().{attribute}"
    if function.name != f"{function.owner}.__init__" or f"self.{attribute}" in module.held or key in module.held:
        return
    module.held[key] = _given(function, value) or ast.Constant(None)
    if (place := _place(function, value)) is not None:
        module.told[key] = place


def _given(function: Function, value: ast.expr | None) -> ast.expr | None:
    """What a constructor keeps: of a parameter an object of the class that its annotation names."""
    if not isinstance(value, ast.Name) or isinstance(function.node, ast.Module) or value.id not in function.types:
        return value
    given = function.node.args
    told = (one.annotation for one in (*given.posonlyargs, *given.args, *given.kwonlyargs) if one.arg == value.id)
    kind = next((one for one in told if isinstance(one, ast.Name | ast.Attribute)), None)
    return value if kind is None else ast.copy_location(ast.Call(kind, [], []), kind)


def _place(function: Function, value: ast.expr | None) -> tuple[int, str] | None:
    """The parameter that a constructor keeps as it is: where it stands after the object itself, and its name."""
    if not isinstance(value, ast.Name) or isinstance(function.node, ast.Module):
        return None
    given = function.node.args
    named = [one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)][1:]
    return (named.index(value.id), value.id) if value.id in named else None


def _hold(module: Module, name: str, value: ast.expr | None) -> None:
    if value is not None and not name.startswith("self."):
        module.held[name] = value


def _names(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        yield f"self.{target.attr}", value
    elif isinstance(target, ast.Starred):
        yield from _names(target.value, None)
    elif isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from _names(one, None)


def _keep(function: Function) -> None:
    """A function that is cached holds what it returned first."""
    called = [one.func if isinstance(one, ast.Call) else one for one in function.decorators]
    if any(function.module.dotted(one) in CACHES for one in called):
        function.module.held |= {f"{function.name}()": value for value in function.returns}
