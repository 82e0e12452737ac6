"""One Python module, as far as its own text tells: what names stand for, functions, what lives in globals."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
CACHES = {"functools.cache", "functools.lru_cache", "functools.cached_property"}


@dataclass
class Function:
    """A function or method: its names of its own, and the class that it belongs to."""

    name: str  # within its module: "send", "Mailer.send"
    node: FunctionNode
    module: "Module"
    owner: str = ""
    aliases: dict[str, str] = field(default_factory=dict)  # imported inside it
    locals: set[str] = field(default_factory=set)
    types: dict[str, str] = field(default_factory=dict)  # local name -> what it was built by

    @property
    def full(self) -> str:
        """With its module."""
        return f"{self.module.name}.{self.name}" if self.module.name else self.name


@dataclass
class Module:
    """A parsed file. ``held``: global or class-level name -> the expression that it holds."""

    name: str
    path: str
    tree: ast.Module
    aliases: dict[str, str] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    held: dict[str, ast.expr] = field(default_factory=dict)

    def dotted(self, node: ast.expr | None, function: Function | None = None) -> str:
        """What an expression is called from outside: ``psycopg2.connect``, ``redis.Redis().pubsub``; "" for others."""
        if isinstance(node, ast.Name):
            return self._name(node.id, function)
        if isinstance(node, ast.Attribute):
            base = self.dotted(node.value, function)
            return f"{base}.{node.attr}" if base else ""
        if isinstance(node, ast.Call):
            base = self.dotted(node.func, function)
            return f"{base}()" if base else ""
        if isinstance(node, ast.Await):
            return self.dotted(node.value, function)
        return ""

    def _name(self, name: str, function: Function | None) -> str:
        if function is not None:
            if name in {"self", "cls"} and function.owner:
                return self._full(function.owner) + ("()" if name == "self" else "")
            inside = function.types.get(name) or function.aliases.get(name)
            if inside or name in function.locals:
                return inside or ""
        return self.aliases.get(name) or self._full(name)

    def _full(self, name: str) -> str:
        return f"{self.name}.{name}" if self.name else name


def read(name: str, path: str, tree: ast.Module) -> Module:
    """The module that this is."""
    module = Module(name, path, tree)
    module.aliases = dict(_imports(module.tree.body, name, path, deep=True))
    for node in _top(module.tree.body):
        if isinstance(node, FunctionNode):
            _add(module, node, "")
        elif isinstance(node, ast.ClassDef):
            module.classes[node.name] = node
            for inner in _top(node.body):
                if isinstance(inner, FunctionNode):
                    _add(module, inner, node.name)
            module.held |= {f"{node.name}.{key}": value for key, value in _assigned(node.body)}
    module.held |= dict(_assigned(module.tree.body))
    for function in module.functions.values():
        _describe(function)
    return module


def _top(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements of a body, those within ``if``, ``try`` and ``with`` too."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With | ast.For | ast.While):
            for part in ("body", "orelse", "finalbody"):
                yield from _top(getattr(node, part, []))
            for handler in getattr(node, "handlers", []):
                yield from _top(handler.body)


def _add(module: Module, node: FunctionNode, owner: str) -> None:
    name = f"{owner}.{node.name}" if owner else node.name
    module.functions[name] = Function(name, node, module, owner)


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for node in _top(body):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _imports(body: list[ast.stmt], module: str, path: str, *, deep: bool) -> Iterator[tuple[str, str]]:
    nodes = _top(body) if deep else iter(body)
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield (
                    alias.asname or alias.name.partition(".")[0],
                    alias.name if alias.asname else alias.name.partition(".")[0],
                )
        elif isinstance(node, ast.ImportFrom):
            base = _base(node, module, path)
            for alias in node.names:
                yield alias.asname or alias.name, f"{base}.{alias.name}" if base else alias.name


def _base(node: ast.ImportFrom, module: str, path: str) -> str:
    """The absolute name of a relative import's package."""
    if not node.level:
        return node.module or ""
    parts = module.split(".") if module else []
    up = node.level - 1 if path.endswith("__init__.py") else node.level
    parts = parts[: len(parts) - up] if up else parts
    return ".".join([*parts, *([node.module] if node.module else [])])


def _describe(function: Function) -> None:
    """What the names inside it stand for, and what it puts into its module's globals or its object."""
    module, node = function.module, function.node
    declared = {name for inner in ast.walk(node) if isinstance(inner, ast.Global) for name in inner.names}
    arguments = node.args
    names = {one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    function.locals = names - {"self", "cls"}
    statements = [inner for inner in ast.walk(node) if isinstance(inner, ast.stmt)]
    function.aliases = dict(_imports(statements, module.name, module.path, deep=False))
    for name, value in _bindings(node):
        _bind(function, name, value, declared)
    if any(module.dotted(one.func if isinstance(one, ast.Call) else one) in CACHES for one in node.decorator_list):
        returned = [
            inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value is not None
        ]
        module.held |= {f"{function.name}()": value for value in returned}


def _bind(function: Function, name: str, value: ast.expr, declared: set[str]) -> None:
    module = function.module
    if name in declared:
        if not isinstance(value, ast.Constant):
            module.held[name] = value
    elif name.startswith("self."):
        if function.owner and function.node.name == "__init__":
            module.held.setdefault(f"{function.owner}().{name[5:]}", value)
    else:
        function.locals.add(name)
        if built := module.dotted(value, function):
            function.types[name] = built


def _bindings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names that a function binds, with what they are bound to."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assign):
            for target in inner.targets:
                yield from _target(target, inner.value)
        elif isinstance(inner, ast.AnnAssign | ast.NamedExpr) and inner.value is not None:
            yield from _target(inner.target, inner.value)
        elif isinstance(inner, ast.With | ast.AsyncWith):
            for item in inner.items:
                if item.optional_vars is not None:
                    yield from _target(item.optional_vars, item.context_expr)
        elif isinstance(inner, ast.For | ast.AsyncFor | ast.comprehension):
            yield from _target(inner.target, ast.Constant(None))


def _target(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    if isinstance(target, ast.Name):
        yield target.id, value
    elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name) and target.value.id == "self":
        yield f"self.{target.attr}", value
    elif isinstance(target, ast.Tuple | ast.List):
        for one in target.elts:
            yield from _target(one, ast.Constant(None))
