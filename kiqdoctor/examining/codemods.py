"""Changes of Python source that cannot change what it means but for what they are made for; text in, text out."""

import ast
from collections.abc import Iterable
from io import StringIO
from typing import Final

from kiqdoctor.records import dataclass

SECONDS: Final = 30  # that a call may wait which was given no limit


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that takes the place of what stands between two offsets."""

    start: int
    end: int
    text: str


class Source:
    """A module's text, which knows where its nodes stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tree = ast.parse(text)
        self._starts = [0]
        self._lines = list(StringIO(text, newline=""))  # as Python counts them: a form feed ends none
        for line in self._lines:
            self._starts.append(self._starts[-1] + len(line))

    def at(self, line: int, column: int) -> int:
        """The offset of a line (from 1) and a column (bytes, from 0)."""
        before = self._lines[line - 1].encode()[:column].decode("utf-8", "ignore")
        return self._starts[line - 1] + len(before)

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        """Where a node begins and ends."""
        assert node.end_lineno is not None  # noqa: S101 - ast.parse gives each node an end
        assert node.end_col_offset is not None  # noqa: S101
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def said(self, node: ast.expr | ast.stmt) -> str:
        """A node as it is written."""
        start, end = self.span(node)
        return self.text[start:end]

    def line_span(self, node: ast.stmt) -> tuple[int, int]:
        """The whole lines of a statement."""
        return self._starts[node.lineno - 1], self._starts[(node.end_lineno or node.lineno)]

    def call(self, line: int, column: int) -> ast.Call | None:
        """The outermost call that begins there (column from 1)."""
        calls = [one for one in ast.walk(self.tree) if isinstance(one, ast.Call) and one.lineno == line]
        exact = [one for one in calls if one.col_offset == column - 1]
        return max(exact, key=lambda one: one.end_col_offset or 0, default=None)


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text with all of them; of two that overlap the first."""
    end = len(text)
    for one in sorted(set(edits), key=lambda one: (one.start, one.end), reverse=True):
        if one.end <= end:
            text = text[: one.start] + one.text + text[one.end :]
            end = one.start
    return text


def timed(source: Source, line: int, column: int) -> list[Edit]:
    """``requests.get(url)`` with a ``timeout``; nothing where a mapping that is spread may hold one."""
    call = source.call(line, column)
    if call is None or any(keyword.arg in {None, "timeout"} for keyword in call.keywords):
        return []
    _, end = source.span(call)
    close = end - 1
    inner = source.text[source.span(call.func)[1] + 1 : close]
    if "#" in inner:
        return []  # a comment may hold the last comma
    plain = inner.rstrip()
    separator = "" if not plain.strip() else " " if plain.endswith(",") else ", "
    at = close - (len(inner) - len(plain))
    return [Edit(at, at, f"{separator}timeout={SECONDS}")]


def committed(source: Source, line: int, column: int) -> list[Edit]:
    """``job.delay(x)`` as ``transaction.on_commit(partial(job.delay, x))``: arguments are still evaluated here and now.

    Nothing where somebody uses what the call returns.
    """
    found = [one for one in ast.walk(source.tree) if isinstance(one, ast.Expr) and isinstance(one.value, ast.Call)]
    call = next((one.value for one in found if one.lineno == line and one.col_offset == column - 1), None)
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Attribute):
        return []
    start, end = source.span(call)
    parts = [source.said(call.func), *(source.said(one) for one in call.args), *map(source_of(source), call.keywords)]
    edits = [Edit(start, end, f"transaction.on_commit(partial({', '.join(parts)}))")]
    edits += _imported(source, "functools", "partial")
    return edits + _imported(source, "django.db", "transaction")


def source_of(source: Source) -> "_Keyword":
    """What writes a keyword as it stands."""
    return _Keyword(source)


@dataclass(frozen=True, slots=True)
class _Keyword:
    source: Source

    def __call__(self, keyword: ast.keyword) -> str:
        value = self.source.said(keyword.value)
        return f"**{value}" if keyword.arg is None else f"{keyword.arg}={value}"


def hoisted(source: Source, line: int) -> list[Edit]:
    """An import within a function moved to the others on top; nothing where it stands under a condition.

    Nothing either where the name means something else in the module.
    """
    for function in ast.walk(source.tree):
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in function.body:
            if isinstance(node, ast.Import | ast.ImportFrom) and node.lineno == line and len(function.body) > 1:
                return _moved(source, node)
    return []


def _moved(source: Source, node: ast.Import | ast.ImportFrom) -> list[Edit]:
    names = {one.asname or one.name.partition(".")[0] for one in node.names}
    top = [one for one in source.tree.body if isinstance(one, ast.Import | ast.ImportFrom)]
    there = any(ast.unparse(one) == ast.unparse(node) for one in top)
    if not there and names & _bound(source.tree):
        return []
    start, end = source.line_span(node)
    if source.text[start:end].strip() != source.said(node).strip():
        return []  # something else stands on its line
    removed = Edit(start, end, "")
    return [removed] if there else [removed, *_on_top(source, ast.unparse(node))]


def _bound(tree: ast.Module) -> set[str]:
    """Names that mean something on the module's top, or that any function assigns."""
    names = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}
    for one in tree.body:
        if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(one.name)
        elif isinstance(one, ast.Import | ast.ImportFrom):
            names |= {each.asname or each.name.partition(".")[0] for each in one.names}
    return names | {one.arg for one in ast.walk(tree) if isinstance(one, ast.arg)}


def _imported(source: Source, module: str, name: str) -> list[Edit]:
    """``from module import name`` where it is not there."""
    own = [one for one in source.tree.body if isinstance(one, ast.ImportFrom) and one.module == module]
    there = any(each.name == name and each.asname is None for one in own for each in one.names)
    return [] if there else _on_top(source, f"from {module} import {name}")


def _on_top(source: Source, line: str) -> list[Edit]:
    """A line below the module's last import at its top, or below its docstring."""
    body = source.tree.body
    after: ast.stmt | None = None
    for one in body:
        docstring = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) and one is body[0]
        if isinstance(one, ast.Import | ast.ImportFrom) or docstring:
            after = one
        else:
            break
    at = source.line_span(after)[1] if after is not None else 0
    return [Edit(at, at, f"{line}\n")]
