"""Where the functions of a source file take locks and give them back, by lines."""

import ast
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

TAKING: Final = frozenset({"acquire", "__enter__"})
WAITING: Final = frozenset({"wait", "wait_for"})


class Taking(NamedTuple):
    """``with lock:`` (its body's lines) or ``lock.acquire()`` (``body_first`` 0) in a function.

    ``lock`` is its expression; ``root`` the name that this begins with, "" where it begins with none.
    """

    lock: str
    root: str
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
        return line > self.last and not any(one == self.lock and self.last <= at < line for one, at in releases)


class Function(NamedTuple):
    """A function's lines; a module's own code is one too."""

    first: int
    last: int
    takings: tuple[Taking, ...]
    releases: tuple[tuple[str, int], ...]
    conditions: tuple[tuple[str, int, int], ...]  # whose wait() is called, from line to line
    name: str = ""

    def signalled_at(self, line: int) -> bool | None:
        """Whether a thread at this line waits for what others give, and this function never gives back: a signal.

        None: the function does nothing but take it for whoever calls it.
        """
        wanted = [one for one in self.takings if one.entered_at(line)]
        if not wanted or any(one.body_first for one in wanted):
            return False
        given_back = {text for text, _ in self.releases}
        if any(one.lock in given_back for one in wanted):
            return False
        return None if self.name in TAKING else True

    def waits_on(self, line: int) -> str:
        """The condition that is waited on at this line, which is given back meanwhile; "" for none."""
        return next((text for text, first, last in self.conditions if first <= line <= last), "")


def around(module: ast.Module, line: int) -> Function:
    """The innermost function that this line is in; the module itself where it is in none.

    Only what reaches over that line is walked: to walk all of a file took most of a dump's processor time.
    """
    found: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | None = None
    left: list[ast.AST] = list(module.body)
    for node in left:
        if not _reaches(node, line):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) and (
            node.lineno <= line and (found is None or node.lineno > found.lineno)
        ):
            found = node
        left.extend(ast.iter_child_nodes(node))
    if found is None:
        return _function(0, max((node.end_lineno or 0 for node in module.body), default=0), module.body)
    last = found.end_lineno or found.lineno
    if isinstance(found, ast.Lambda):
        return _function(found.lineno, last, [found.body])
    return _function(found.lineno, last, found.body, found.name)


def _reaches(node: ast.AST, line: int) -> bool:
    """Whether the line is one of its own; what has none, as arguments, may have any. Decorators stand before it."""
    first = getattr(node, "lineno", None)
    if first is None:
        return True
    first = min((one.lineno for one in getattr(node, "decorator_list", ())), default=first)
    return bool(first <= line <= (getattr(node, "end_lineno", None) or first))


def _function(first: int, last: int, body: Sequence[ast.AST], name: str = "") -> Function:
    takings: list[Taking] = []
    releases: list[tuple[str, int]] = []
    conditions: list[tuple[str, int, int]] = []
    for node in _own(body):
        if isinstance(node, ast.With):
            begin, end = node.body[0].lineno, node.end_lineno or node.lineno
            takings += [_taking(one.context_expr, one.context_expr, begin, end) for one in node.items]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in TAKING:
                takings.append(_taking(node.func.value, node))
            elif node.func.attr == "release":
                releases.append((ast.unparse(node.func.value), node.lineno))
            elif node.func.attr in WAITING:
                conditions.append((ast.unparse(node.func.value), node.lineno, _last(node)))
    return Function(first, last, tuple(takings), tuple(releases), tuple(conditions), name)


def _taking(lock: ast.expr, call: ast.expr, first: int = 0, last: int = 0) -> Taking:
    root = lock
    while isinstance(root, ast.Attribute | ast.Subscript):
        root = root.value
    name = root.id if isinstance(root, ast.Name) else ""
    return Taking(ast.unparse(lock), name, call.lineno, _last(call), first, last)


def _last(node: ast.expr) -> int:
    return node.end_lineno or node.lineno


def _own(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Everything below, without what is in functions and classes of its own."""
    left: list[ast.AST] = list(body)
    while left:
        node = left.pop()
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            yield node
            left.extend(ast.iter_child_nodes(node))
