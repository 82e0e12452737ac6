"""Where the functions of a source file take locks and give them back, by lines."""

import ast
from collections.abc import Iterator
from typing import Final, NamedTuple

TAKING: Final = frozenset({"acquire", "__enter__"})
WAITING: Final = frozenset({"wait", "wait_for"})


class Taking(NamedTuple):
    """``with lock:`` (its body's lines) or ``lock.acquire()`` (``body_first`` 0) in a function."""

    lock: ast.expr
    line: int
    last: int
    body_first: int = 0
    body_last: int = 0

    def entered_at(self, line: int) -> bool:
        """Whether a thread at this line may be taking it."""
        return self.line <= line <= self.last

    def holds_at(self, line: int, releases: tuple[tuple[str, int], ...]) -> bool:
        """Whether a thread at this line has it: inside the body, or past the call and before it is given back."""
        if self.body_first:
            return self.body_first <= line <= self.body_last and line > self.last
        text = ast.unparse(self.lock)
        return line > self.last and not any(one == text and self.last <= at < line for one, at in releases)


class Function(NamedTuple):
    """A function's lines; a module's own code is one too."""

    first: int
    last: int
    takings: tuple[Taking, ...]
    releases: tuple[tuple[str, int], ...]
    conditions: tuple[tuple[str, int, int], ...]  # whose wait() is called, from line to line

    def waits_on(self, line: int) -> str:
        """The condition that is waited on at this line, which is given back meanwhile; "" for none."""
        return next((text for text, first, last in self.conditions if first <= line <= last), "")


def functions(module: ast.Module) -> Iterator[Function]:
    """Every function of a file, and the module."""
    last = max((node.end_lineno or 0 for node in module.body), default=0)
    yield _function(0, last, module.body)
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield _function(node.lineno, node.end_lineno or node.lineno, node.body)
        elif isinstance(node, ast.Lambda):
            yield _function(node.lineno, node.end_lineno or node.lineno, [node.body])


def _function(first: int, last: int, body: list[ast.stmt] | list[ast.expr]) -> Function:
    takings: list[Taking] = []
    releases: list[tuple[str, int]] = []
    conditions: list[tuple[str, int, int]] = []
    for node in _own(body):
        if isinstance(node, ast.With):
            begin, end = node.body[0].lineno, node.end_lineno or node.lineno
            takings += [Taking(one.context_expr, one.context_expr.lineno, _last(one.context_expr), begin, end)
                        for one in node.items]  # fmt: skip
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in TAKING:
                takings.append(Taking(node.func.value, node.lineno, _last(node)))
            elif node.func.attr == "release":
                releases.append((ast.unparse(node.func.value), node.lineno))
            elif node.func.attr in WAITING:
                conditions.append((ast.unparse(node.func.value), node.lineno, _last(node)))
    return Function(first, last, tuple(takings), tuple(releases), tuple(conditions))


def _last(node: ast.expr) -> int:
    return node.end_lineno or node.lineno


def _own(body: list[ast.stmt] | list[ast.expr]) -> Iterator[ast.AST]:
    """Everything below, without what is in functions and classes of its own."""
    left: list[ast.AST] = list(body)
    while left:
        node = left.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield node
            left.extend(ast.iter_child_nodes(node))
