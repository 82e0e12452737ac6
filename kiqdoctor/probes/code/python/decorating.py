"""What makes a job of the function that it is given: a library's decorator, and the application's own around one.

Its own are followed through names, ``partial``, subclasses of a library's decorator class, and functions that register
what they are given, or a function within them that calls it.
"""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.code.python.frameworks import AS_SAID, DECORATORS, FRAMEWORKS, TIMERS, library_of
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names

DEEPEST: Final = 6  # own decorators around own decorators
PARTIALS: Final = frozenset({"functools.partial", "partial"})


class Decorators:
    """Tells which expressions make jobs; each function of the application is asked once."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._known: dict[Function, str | None] = {}
        self._used: set[Function] | None = None
        self.only = _only(names)

    def library(self, node: ast.expr, where: Function, depth: int = 0) -> str | None:
        """The library for which an expression makes a job of what it is called with; "" where only its words say so.

        None: it makes none. ``@task``, ``@task(...)`` and ``task(...)(function)`` are one to it.
        """
        called, calls = node, 0
        while isinstance(called, ast.Call) and calls < DEEPEST:
            called, calls = called.func, calls + 1
        dotted = where.module.dotted(called, where)
        name = self._names.resolved(dotted)
        last = name.rpartition(".")[2] or getattr(called, "attr", "")
        found = self._of_library(dotted, name, last, called)
        if found is None and depth < DEEPEST:
            found = self._own(dotted, name, depth)
        return found

    def _of_library(self, dotted: str, name: str, last: str, called: ast.expr) -> str | None:
        if last not in DECORATORS:
            return None
        for one in (name, dotted):
            if library := library_of(one):
                return library
        if self._names.targets(dotted) or name in self._names.classes or self._of_package(called, name):
            return None
        return self.only if last not in AS_SAID and isinstance(called, ast.Attribute) else None

    def _of_package(self, called: ast.expr, name: str) -> bool:
        """``invoke.task``: what a package offers that is no library of jobs, where no object is asked."""
        package, _, last = name.partition(".")
        asked = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name)
        return asked and last in DECORATORS and self._names.imports(package) and package not in FRAMEWORKS

    def _own(self, dotted: str, name: str, depth: int) -> str | None:
        """What the application calls by this name: a class above which a library's stands, a value, or a function."""
        if name in self._names.classes:
            above = (one for one in self._names.above(name) if one.rpartition(".")[2] in DECORATORS)
            found = next((library for one in above if (library := library_of(one))), None)
            called = self._names.targets(f"{name}().__call__") if found is None else ()
            return next((one for to in called if (one := self._function(to, depth + 1)) is not None), found)
        for function in self._names.targets(dotted):
            return self._function(function, depth + 1)
        key = next((held for one in self._names.steps(dotted) if (held := self._called(one))), "")
        if not key:
            return None
        module, value = self._names.held[key]
        if isinstance(value, ast.Call):
            maker = self._names.resolved(module.dotted(value.func))
            inner = value.args[0] if maker in PARTIALS and value.args else value
            return self.library(inner, module.body, depth + 1)
        return None

    def _called(self, name: str) -> str:
        """The name under which what a call returned is held; "" for any other."""
        key = self._names.held_as(name)
        return key if key and isinstance(self._names.held[key][1], ast.Call) else ""

    def _function(self, function: Function, depth: int) -> str | None:
        """Whether a function of the application registers what it is given."""
        if function not in self._known:
            self._known[function] = None  # what leads back to itself makes none
            found = (self._registers(one, depth) for one in self._family(function))
            self._known[function] = next((one for one in found if one is not None), None)
        return self._known[function]

    def wraps(self, function: Function) -> bool:
        """Whether it is what one of the application's own decorators makes of a job, and no job by itself."""
        outer = function.outer
        while outer is not None and outer.name:
            if self._known.get(outer) is not None or self._decorates(outer):
                return True
            outer = outer.outer
        return False

    def _decorates(self, function: Function) -> bool:
        """Whether anything is decorated with it."""
        if self._used is None:
            used = (
                to
                for unit in self._names.units
                for one in unit.decorators
                for to in self._names.targets(_dotted(one, unit))
            )
            self._used = set(used)
        return function in self._used

    def _family(self, function: Function) -> Iterator[Function]:
        todo = [function]
        for one in todo:
            yield one
            todo += self._names.inner(one)

    def _registers(self, function: Function, depth: int) -> str | None:
        for inner in self._names.inner(function):
            for decorator in inner.decorators:
                if (found := self.library(decorator, function, depth)) is not None:
                    return found
        for call, _ in function.calls:
            if any(_is_given(one, function) for one in call.args):
                found = self.library(call.func, function, depth)
                if found is not None:
                    return found
        for value in function.returns:
            if isinstance(value, ast.Call) and all(isinstance(one, ast.Starred) for one in value.args):
                found = self.library(value, function, depth)
                if found is not None:
                    return found
        return None


def _dotted(decorator: ast.expr, unit: Function) -> str:
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    return unit.module.dotted(called, unit.outer)


def _is_given(node: ast.expr, function: Function) -> bool:
    """Whether it names a parameter, or a function that is defined here."""
    scope: Function | None = function
    while isinstance(node, ast.Name) and scope is not None and scope.name:
        if node.id in scope.locals or node.id in scope.aliases:
            return True
        scope = scope.outer
    return False


def _only(names: Names) -> str:
    """The one library that the application imports, where there is but one: ``app.task`` of an unknown app is its."""
    found = {library for package, library in FRAMEWORKS.items() if package not in TIMERS and names.imports(package)}
    return found.pop() if len(found) == 1 else ""
