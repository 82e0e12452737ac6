"""How statements in Python may end."""

import ast
from collections.abc import Callable, Iterator, Sequence
from typing import Final

EXITS: Final = frozenset({"exit", "_exit", "abort"})
ON: Final = frozenset({"on"})


def ways(body: Sequence[ast.stmt]) -> frozenset[str]:
    """Each that can happen: "raise" (or the process ends), "leave" (return, break, continue), "on" to what follows."""
    found: set[str] = set()
    for statement in body:
        here = _ways(statement)
        found |= here - ON
        if "on" not in here:
            return frozenset(found)
    return frozenset(found | ON)


def decided(body: Sequence[ast.stmt], told: Callable[[ast.expr], bool | None]) -> Iterator[ast.stmt]:
    """A body's statements, with the branch that is taken in place of each ``if`` whose answer is known."""
    for statement in body:
        answer = told(statement.test) if isinstance(statement, ast.If) else None
        if answer is None or not isinstance(statement, ast.If):
            yield statement
        else:
            yield from decided(statement.body if answer else statement.orelse, told)


def _ways(statement: ast.stmt) -> frozenset[str]:
    if isinstance(statement, ast.Raise) or _ends_the_process(statement):
        found = frozenset({"raise"})
    elif isinstance(statement, ast.Return | ast.Continue | ast.Break):
        found = frozenset({"leave"})
    elif isinstance(statement, ast.If):
        found = _either(_branches(statement))
    elif isinstance(statement, ast.With | ast.AsyncWith):
        found = ways(statement.body)
    elif isinstance(statement, ast.Match):
        found = _either(case.body for case in statement.cases) | ON
    elif isinstance(statement, ast.For | ast.AsyncFor | ast.While):
        found = (ways(statement.body) - {"leave"}) | ON | _returns(statement)
    else:
        found = _try(statement) if isinstance(statement, ast.Try | ast.TryStar) else ON
    return found


def _branches(statement: ast.If) -> Iterator[Sequence[ast.stmt]]:
    """All branches of an if with its elifs, of which there may be a thousand."""
    one: ast.stmt = statement
    while isinstance(one, ast.If):
        yield one.body
        rest = one.orelse
        if len(rest) != 1 or not isinstance(rest[0], ast.If):
            yield rest
            return
        one = rest[0]


def _either(bodies: Iterator[Sequence[ast.stmt]]) -> frozenset[str]:
    return frozenset[str]().union(*map(ways, bodies))


def _try(statement: ast.Try | ast.TryStar) -> frozenset[str]:
    final = ways(statement.finalbody)
    inside = ways([*statement.body, *statement.orelse])
    caught = _either(handler.body for handler in statement.handlers)
    inside = caught | (inside - {"raise"} if statement.handlers else inside)
    return final if "on" not in final else (final - ON) | inside


def _returns(loop: ast.For | ast.AsyncFor | ast.While) -> frozenset[str]:
    """A return leaves more than the loop that it stands in."""
    inside = (node for statement in loop.body for node in ast.walk(statement))
    return frozenset({"leave"}) if any(isinstance(node, ast.Return) for node in inside) else frozenset()


def _ends_the_process(statement: ast.stmt) -> bool:
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call):
        return False
    return getattr(call.func, "attr", getattr(call.func, "id", "")) in EXITS
