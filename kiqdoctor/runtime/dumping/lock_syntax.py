"""What the source of a function says about taking locks: ``with lock:``, ``lock.acquire()``, ``lock.release()``."""

import ast
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from opcode import opmap
from types import CodeType
from typing import Final

from kiqdoctor.runtime.dumping.frames import source

_TAKING: Final = frozenset({"acquire", "__enter__", "_acquire_restore"})
_BEFORE_WITH: Final = opmap.get("BEFORE_WITH", -1)
_HINTS: Final = ("with ", "with(", ".acquire", ".__enter__", "._acquire_restore")

Place = tuple[int, int]  # line and column, in bytes as the compiler counts them


@dataclass(frozen=True, slots=True)
class Taking:
    """``with lock:`` or ``lock.acquire()`` in a function; ``item`` counts within one ``with`` of several."""

    lock: ast.expr
    text: str
    begin: Place
    end: Place
    statement: Place | None = None  # where ``with`` stands
    item: int = 0
    body: tuple[Place, Place] | None = None


@dataclass(frozen=True, slots=True)
class Syntax:
    takings: tuple[Taking, ...] = ()
    releases: tuple[tuple[str, Place], ...] = ()


@lru_cache(maxsize=512)
def syntax(code: CodeType) -> Syntax:
    """Where a function takes and releases locks; nothing where its source cannot be had."""
    lines = source(code.co_filename)
    first = code.co_firstlineno
    last = max((line for _, _, line in code.co_lines() if line), default=0)
    module = code.co_name == "<module>"
    if (code.co_name.startswith("<") and not module) or not any(
        hint in line for line in lines[first - 1 : last] for hint in _HINTS
    ):
        return Syntax()
    try:
        block = lines if module else inspect.getblock(lines[first - 1 :])
        indented = block[0][:1].isspace()
        tree = ast.parse("if 1:\n" + "".join(block) if indented else "".join(block))
    except (SyntaxError, ValueError, IndexError, RecursionError, MemoryError):
        return Syntax()
    offset = 0 if module else first - 1 - indented
    body = tree.body
    if not module:
        outer = body[0].body[0] if indented and isinstance(body[0], ast.If) else body[0]
        body = getattr(outer, "body", [])
    return _collected(body, offset)


def _collected(body: Sequence[ast.stmt], offset: int) -> Syntax:
    takings: list[Taking] = []
    releases: list[tuple[str, Place]] = []
    for node in _own(body):
        if isinstance(node, ast.With):
            takings += _withs(node, offset)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            text, (begin, end) = ast.unparse(node.func.value), _span(node, offset)
            if node.func.attr in _TAKING:
                takings.append(Taking(node.func.value, text, begin, end))
            elif node.func.attr == "release":
                releases.append((text, begin))
    return Syntax(tuple(takings), tuple(releases))


def _own(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Everything below, without what is in functions and classes of its own."""
    left = list(body)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        yield node
        left.extend(ast.iter_child_nodes(node))


def _withs(node: ast.With, offset: int) -> list[Taking]:
    statement, end = _span(node, offset)
    spans = [_span(item.context_expr, offset) for item in node.items]
    follows = [*(begin for begin, _ in spans[1:]), _span(node.body[0], offset)[0]]
    return [
        Taking(one.context_expr, ast.unparse(one.context_expr), *spans[at], statement, at, (follows[at], end))
        for at, one in enumerate(node.items)
    ]


def _span(node: ast.stmt | ast.expr, offset: int) -> tuple[Place, Place]:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return (node.lineno + offset, node.col_offset), (end_line + offset, end_column)


def place_of(code: CodeType, instruction: int) -> Place | None:
    """Where the instruction's expression begins; None where the program was compiled without columns."""
    found = next(islice(code.co_positions(), max(0, instruction) // 2, None), None)
    if found is None or found[0] is None or found[2] is None:
        return None
    return found[0], found[2]


def item_of(code: CodeType, instruction: int, place: Place) -> int | None:
    """Which item of its ``with`` is entered: up to 3.12 all have the statement's own place, and are counted.

    A ``finally`` is compiled more than once, each time with the same places: what is far before does not count.
    """
    operations = code.co_code[::2]
    if operations[instruction // 2] != _BEFORE_WITH:
        return None
    count = 0
    for one, at in islice(zip(operations, code.co_positions(), strict=False), instruction // 2):
        if at[0] is not None and at[0::2] < place:
            count = 0
        count += one == _BEFORE_WITH and at[0::2] == place
    return count
