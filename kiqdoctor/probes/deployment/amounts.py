"""Numbers as deployments write them: a literal, or a variable of the environment with its default."""

import ast
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.tree import erb, ruby
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.wire.numbers import whole

if TYPE_CHECKING:
    from tree_sitter import Node

DEEP: Final = 10  # names that lead to names
_SPANS: Final = regex(
    r"\s{0,3}(\d{1,9}(?:\.\d{1,3})?)\s{0,3}(ms(?:ec)?|s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:r|ours?)?|d(?:ays?)?|)"
)
_CORES: Final = regex(r"(\d{1,6}(?:\.\d{1,3})?)([m%]?)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SHELL: Final = regex(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
MOST: Final = 10_000  # processes or threads; who asks for more mistyped it
THE_SAME: Final = frozenset({"to_i", "to_s", "freeze"})


@dataclass(frozen=True, slots=True)
class Amount:
    """A number; with ``variable`` it is what that says, and ``number`` the default. None: nobody knows."""

    number: int | None
    variable: str = ""

    def given(self, environment: Mapping[str, str]) -> int | None:
        """The number in this environment."""
        return count(environment[self.variable]) if self.variable in environment else self.number

    def otherwise(self, other: "Amount | None") -> "Amount":
        """With another's number where this one has none."""
        return self if self.number is not None or other is None else Amount(other.number, self.variable)


def count(value: object) -> int | None:
    """A number of processes or threads; None for anything else."""
    return whole(value, most=MOST)


def seconds(value: object) -> float | None:
    """A time as compose, systemd and platforms write it (``90``, ``1m30s``, ``2min 5s``); None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if 0 <= value < MOST * MOST else None
    text = value.strip() if isinstance(value, str) else ""
    found = list(_SPANS.finditer(text))
    if not found or "".join(one[0] for one in found).replace(" ", "") != text.replace(" ", ""):
        return None
    return sum(float(one[1]) * _UNITS["ms" if one[2].startswith("ms") else one[2][:1] or "s"] for one in found)


def said(value: object) -> tuple[float | None, bool]:
    """A time with the default of a variable in its place, and whether one is set that this file does not tell."""
    found = _SHELL.fullmatch(value.strip()) if isinstance(value, str) else None
    told = seconds(found[3] if found is not None else value)
    return told, told is None and value is not None


def cores(value: object) -> float | None:
    """Processors as limits write them: ``2``, ``0.5``, ``500m`` and systemd's ``150%``."""
    found = _CORES.fullmatch(str(value).strip()) if isinstance(value, str | int | float) else None
    return float(found[1]) * {"m": 0.001, "%": 0.01, "": 1.0}[found[2]] if found else None


def of_value(value: object) -> Amount | None:
    """A number of YAML, TOML or a command line: spelt out, by the shell (``${X:-5}``), or by embedded Ruby."""
    if (number := count(value)) is not None:
        return Amount(number)
    if (code := erb.expression(value)) is not None:
        return _of_code(code)
    found = _SHELL.fullmatch(value.strip()) if isinstance(value, str) else None
    return Amount(count(found[3]), found[1] or found[2]) if found else None


def words_of(text: str, environment: Mapping[str, str]) -> str | None:
    """A word of a command line, with a variable of the shell followed; None where nothing says what that holds."""
    found = _SHELL.fullmatch(text.strip())
    if found is None:
        return None if "$" in text else text.strip()
    return environment.get(found[1] or found[2]) or found[3] or None


def _of_code(code: str) -> Amount | None:
    try:
        return of_ruby(ruby.last(ruby.named(ruby.parse(code.encode()))), {})
    except UnparsedError:
        return None


def of_ruby(node: "Node | None", variables: Mapping[str, "Node | None"], depth: int = 0) -> Amount | None:
    """A number in Ruby: ``5``, ``ENV.fetch("X", 5)``, ``Integer(ENV["X"] || 5)``, a local variable that holds one."""
    node = _meant(node, variables)
    if node is None or depth > DEEP:
        return None
    if node.type == "binary" and ruby.text(node.child_by_field_name("operator")) in {"||", "or"}:
        left = of_ruby(node.child_by_field_name("left"), variables, depth + 1)
        right = of_ruby(node.child_by_field_name("right"), variables, depth + 1)
        return left.otherwise(right) if left is not None else None
    if name := ruby.environment(node):
        return Amount(None, name).otherwise(of_ruby(_default(node), variables, depth + 1))
    literal = ruby.text(node) if node.type == "integer" else ruby.string(node)
    return Amount(count(literal.replace("_", ""))) if literal is not None else None


def _meant(node: "Node | None", variables: Mapping[str, "Node | None"]) -> "Node | None":
    """What a name stands for, what stands in parentheses, ``x`` of ``Integer(x)`` and of ``x.to_i``."""
    for _ in range(DEEP):
        receiver, method, arguments = ruby.call(node)
        if node is None:
            return None
        if node.type == "identifier":
            node = variables.get(ruby.text(node))
        elif node.type == "parenthesized_statements":
            node = ruby.last(ruby.named(node))
        elif not receiver and method == "Integer":
            node = ruby.first(arguments)
        elif method in THE_SAME:
            node = node.child_by_field_name("receiver")
        else:
            return node
    return None


def _default(node: "Node") -> "Node | None":
    """What ``ENV.fetch`` gives where the variable is not set: its second argument, or what its block returns."""
    arguments = ruby.call(node)[2]
    return arguments[1] if len(arguments) > 1 else ruby.last(ruby.body(ruby.block(node)))


def of_python(node: ast.expr | None, names: Mapping[str, ast.expr], depth: int = 0) -> Amount | None:
    """A number in Python: ``5``, ``int(os.environ.get("X", 5))``, ``os.getenv("X") or 5``, a name that holds one."""
    if isinstance(node, ast.Name):
        node = names.get(node.id)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "int" and node.args:
        node = node.args[0]
    if node is None or depth > DEEP:
        return None
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        first, second = (of_python(one, names, depth + 1) for one in node.values[:2])
        return first.otherwise(second) if first is not None else None
    if isinstance(node, ast.Constant):
        return Amount(number) if (number := count(node.value)) is not None else None
    arguments = _of_environ(node)
    if arguments and isinstance(name := arguments[0], ast.Constant) and isinstance(name.value, str):
        return Amount(None, name.value).otherwise(of_python(next(iter(arguments[1:]), None), names, depth + 1))
    return None


def _of_environ(node: ast.expr) -> list[ast.expr]:
    """Name and default of ``os.environ["X"]``, ``os.environ.get("X", 5)`` and ``os.getenv("X", 5)``."""
    if isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
        return [node.slice]
    asked = isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("environ.get", "getenv"))
    return list(node.args) if asked and isinstance(node, ast.Call) else []
