"""The arguments of a call in Python, as far as their text tells what they are."""

import ast
from collections.abc import Callable
from typing import Final

from kiqdoctor.doctor.facts.code import Argument, Shape
from kiqdoctor.probes.code.words import spoken

SHAPES: Final[dict[type[ast.expr], Shape]] = {
    **dict.fromkeys((ast.List, ast.Tuple, ast.ListComp, ast.GeneratorExp), Shape.LIST),
    **dict.fromkeys((ast.Set, ast.SetComp), Shape.SET),
    **dict.fromkeys((ast.Dict, ast.DictComp), Shape.MAPPING),
    ast.Lambda: Shape.FUNCTION,
    ast.JoinedStr: Shape.TEXT,
}
LARGEST: Final = 10**18  # a longer number is no setting, and costs to be written


def arguments(
    call: ast.Call, spelt: Callable[[ast.expr], str], spread: Callable[[ast.expr], list[ast.keyword]]
) -> tuple[Argument, ...]:
    """All of them, in order; a list or mapping that is spread stands for what is in it.

    ``spelt``: what a node is called; ``spread``: what a mapping names, nothing where that is not told.
    """
    found: list[Argument] = []
    for node in call.args:
        inner = node.value if isinstance(node, ast.Starred) else None
        if isinstance(inner, ast.List | ast.Tuple):
            found += [_argument("", one, spelt) for one in inner.elts]
        else:
            found.append(_argument("", node, spelt) if inner is None else _argument("*", inner, spelt))
    for one in call.keywords:
        told = [] if one.arg else spread(one.value)
        found += [_argument(each.arg or "**", each.value, spelt) for each in told or [one]]
    return tuple(found)


def _argument(name: str, node: ast.expr, spelt: Callable[[ast.expr], str]) -> Argument:
    if isinstance(node, ast.Constant):
        return Argument(name, *_literal(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.operand, ast.Constant):
        shape, text = _literal(node.operand.value)
        return Argument(name, shape, f"-{text}" if isinstance(node.op, ast.USub) else text)
    if type(node) in SHAPES:
        return Argument(name, SHAPES[type(node)])
    dotted = spelt(node)
    if not dotted:
        own = getattr(node, "id", getattr(node, "attr", "")) if name not in {"*", "**"} else ""
        return Argument(name, Shape.OTHER, f"?.{own}" if own else "")
    return Argument(name, Shape.CALL if dotted.endswith("()") else Shape.NAME, dotted.removesuffix("()"))


def _literal(value: object) -> tuple[Shape, str]:
    if value is None or isinstance(value, bool):
        return (Shape.NONE if value is None else Shape.FLAG), str(value)
    if isinstance(value, int | float):
        return Shape.NUMBER, str(value) if abs(value) < LARGEST else ""
    return (Shape.TEXT, spoken(value)) if isinstance(value, str) else (Shape.OTHER, "")
