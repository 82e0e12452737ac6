"""One Python module: its functions, what stands in each, and what its names are called from outside."""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import field
from typing import Final

from kiqdoctor.doctor.facts import code
from kiqdoctor.probes.code.graph import Unit
from kiqdoctor.probes.code.spans import Position, Span
from kiqdoctor.records import dataclass

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
Load = ast.Name | ast.Attribute
Located = ast.expr | ast.stmt | ast.excepthandler
BUILTINS: Final = frozenset(dir(builtins))
LONGEST: Final = 25  # links of a.b().c that are followed; a person writes ten


@dataclass(frozen=True, slots=True)
class Binding:
    """A name, or an attribute of ``self``, gets a value; None: one that its text does not tell."""

    owner: str  # the class in whose body it stands
    target: ast.expr
    value: ast.expr | None


@dataclass(eq=False, slots=True)
class Function(Unit):
    """A function or method, or the body of a module: what stands in it, in order, and what its names stand for.

    ``calls`` and ``loads`` come with what they are called from outside. A decorator's call belongs to the function
    that it decorates, its arguments and all defaults to where the function is defined.
    """

    module: "Module"
    name: str  # within its module: "send", "Mailer.send", "send.inner"; "" for the body
    node: FunctionNode | ast.Module
    owner: str = ""  # the class whose method it is
    outer: "Function | None" = None
    aliases: dict[str, str] = field(default_factory=dict)
    locals: set[str] = field(default_factory=set)
    types: dict[str, str] = field(default_factory=dict)  # local name -> what it was built by
    values: dict[str, ast.expr] = field(default_factory=dict)  # local name -> what it is bound to last
    declared: set[str] = field(default_factory=set)  # global
    bindings: list[Binding] = field(default_factory=list)
    calls: list[tuple[ast.Call, str]] = field(default_factory=list)
    loads: list[tuple[Load, str]] = field(default_factory=list)
    changed: list[ast.expr] = field(default_factory=list)  # targets that are set, added to, deleted
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    withs: list[ast.With | ast.AsyncWith] = field(default_factory=list)
    tries: list[ast.Try | ast.TryStar] = field(default_factory=list)
    returns: list[ast.expr] = field(default_factory=list)

    @property
    def full(self) -> str:
        """With its module."""
        return self.module.full(self.name) if self.name else self.module.name

    def fact(self) -> code.Function:
        """Its row in the table of functions."""
        place = code.Place(self.module.path, *self.begin)
        return code.Function(self.full, place, "python", self.caller, body=not self.name and self.module.loaded)

    @property
    def begin(self) -> Position:
        """Where it begins."""
        return self.at(self.node) if isinstance(self.node, FunctionNode) else (1, 1)

    @staticmethod
    def at(node: Located) -> Position:
        """Where a node begins."""
        return node.lineno, node.col_offset + 1

    @staticmethod
    def span(node: Located) -> Span:
        """From where to where it goes."""
        return Function.at(node), (node.end_lineno or node.lineno, (node.end_col_offset or 0) + 1)

    @property
    def uses(self) -> Iterator[tuple[ast.expr, str]]:
        """What is called, then what else is named."""
        yield from ((call.func, dotted) for call, dotted in self.calls)
        yield from self.loads

    @property
    def is_coroutine(self) -> bool:
        """Whether it is ``async``."""
        return isinstance(self.node, ast.AsyncFunctionDef)

    @property
    def decorators(self) -> list[ast.expr]:
        """What makes something else of it."""
        return self.node.decorator_list if isinstance(self.node, FunctionNode) else []


class Module:
    """A parsed file. ``held``: global or class-level name -> what it holds; ``packages``: what it imports from.

    ``told``: held attributes that a constructor keeps of a parameter, with its place and name.
    ``stars``: modules all of whose names it takes. ``loaded``: no script that somebody runs by hand alone.
    """

    def __init__(self, name: str, path: str, tree: ast.Module) -> None:
        self.name = name
        self.path = path
        self.functions: dict[str, Function] = {}
        self.classes: dict[str, ast.ClassDef] = {}
        self.held: dict[str, ast.expr] = {}
        self.told: dict[str, tuple[int, str]] = {}
        self.packages: set[str] = set()
        self.stars: list[str] = []
        self.loaded = True
        self.lines = tree.body[-1].end_lineno or 0 if tree.body else 0
        self.body = Function(self, "", tree)
        self.units = [self.body]

    def defines(self, name: str) -> bool:
        """Whether it gives a name a meaning of its own."""
        return name in self.functions or name in self.classes or name in self.held or name in self.body.aliases

    def full(self, name: str) -> str:
        """A name of this module, from outside."""
        return f"{self.name}.{name}"

    def base_of(self, node: ast.ImportFrom) -> str:
        """The absolute name of what ``from`` names."""
        if not node.level:
            return node.module or ""
        parts = self.name.split(".")
        up = node.level - 1 if self.path.endswith("__init__.py") else node.level
        parts = parts[: len(parts) - up] if up else parts
        return ".".join([*parts, *([node.module] if node.module else [])])

    def dotted(self, node: ast.expr | None, function: Function | None = None) -> str:
        """What an expression is called from outside: ``psycopg2.connect``, ``redis.Redis().pubsub``; "" for others."""
        tail: list[str] = []
        while len(tail) < LONGEST:
            if isinstance(node, ast.Attribute):
                tail.append("." + node.attr)
                node = node.value
            elif isinstance(node, ast.Call):
                tail.append("()")
                node = node.func
            elif isinstance(node, ast.Await):
                node = node.value
            elif isinstance(node, ast.Name):
                head = self._named(node.id, function)
                return head + "".join(reversed(tail)) if head else ""
            else:
                break
        return ""

    def annotated(self, node: ast.expr, function: Function | None = None) -> str:
        """The class that an annotation names, alone or beside None; "" for any other."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            quoted = _quoted(node.value.removesuffix("| None").strip())
            return self.dotted(quoted, function)
        if isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant) and node.right.value is None:
            node = node.left
        if isinstance(node, ast.Subscript):
            node = node.slice if self.dotted(node.value, function) == "typing.Optional" else node.value
        return self.dotted(node, function) if isinstance(node, Load) else ""

    def _named(self, name: str, function: Function | None) -> str:
        while function is not None and function is not self.body:
            if name in {"self", "cls"} and function.owner:
                return self.full(function.owner) + ("()" if name == "self" else "")
            known = function.types.get(name) or function.aliases.get(name)
            if known or name in function.locals:
                return known or ""
            function = function.outer
        if name in self.body.aliases:
            return self.body.aliases[name]
        return name if name in BUILTINS and not self.defines(name) else self.full(name)


def _quoted(text: str) -> ast.expr | None:
    """``"models.User"`` as the names it is made of; None where it is more than names."""
    first, *rest = text.split(".")[:LONGEST]
    if not all(part.isidentifier() for part in (first, *rest)):
        return None
    node: ast.expr = ast.Name(first)
    for part in rest:
        node = ast.Attribute(node, part)
    return node
