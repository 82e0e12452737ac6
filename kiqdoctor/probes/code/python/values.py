"""What a job in Python is handed that its payload may have no word for, as far as the source tells."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.code import Given, Value
from kiqdoctor.probes.code.python.frameworks import SCHEDULES
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

DEEPEST: Final = 5  # values within values, names that stand for names
MOST: Final = 100  # values of one enqueue that are looked at
MADE: Final = {
    **dict.fromkeys(
        (
            *(
                f"datetime.datetime{how}"
                for how in (
                    "",
                    ".now",
                    ".utcnow",
                    ".today",
                    ".strptime",
                    ".fromtimestamp",
                    ".combine",
                    ".fromisoformat",
                )
            ),
            *(f"datetime.date{how}" for how in ("", ".today", ".fromisoformat", ".fromtimestamp")),
            *(f"django.utils.timezone.{how}" for how in ("now", "localtime", "localdate")),
            *("datetime.time", "dateutil.parser.parse"),
        ),
        Value.DATE,
    ),
    "datetime.timedelta": Value.DURATION,
    "decimal.Decimal": Value.DECIMAL,
    **dict.fromkeys((f"uuid.{how}" for how in ("uuid1", "uuid3", "uuid4", "uuid5", "uuid7", "UUID")), Value.UUID),
    **dict.fromkeys(("set", "frozenset"), Value.SET),
    **dict.fromkeys(("bytes", "bytearray", "os.urandom", "base64.b64encode", "secrets.token_bytes"), Value.BYTES),
    **dict.fromkeys(("map", "filter", "zip", "iter", "reversed"), Value.ITERATOR),
    **dict.fromkeys(("open", "io.open", "tempfile.TemporaryFile", "tempfile.NamedTemporaryFile"), Value.FILE),
    **dict.fromkeys(("pathlib.Path", "pathlib.PurePath", "pathlib.Path.cwd", "pathlib.Path.home"), Value.PATH),
    "functools.partial": Value.FUNCTION,
    **dict.fromkeys((f"django.shortcuts.{how}" for how in ("get_object_or_404", "aget_object_or_404")), Value.RECORD),
    "django.shortcuts.get_list_or_404": Value.RECORDS,
}
"""What is called, and what that gives."""
PLAINLY: Final[dict[type[ast.expr], Value]] = {
    ast.Lambda: Value.LAMBDA,
    **dict.fromkeys((ast.Set, ast.SetComp), Value.SET),
    ast.GeneratorExp: Value.ITERATOR,
}
"""Kinds of nodes that say what they are."""
ONE: Final = frozenset({"get", "create", "first", "last", "latest", "earliest"})
MANY: Final = frozenset(
    {"filter", "all", "exclude", "order_by", "values", "values_list", "select_related", "prefetch_related"}
    | {"distinct", "annotate", "none", "only", "defer"}
)
_MANAGED: Final = regex(r"\.(?:objects|_default_manager)(?:\.\w+\(\))*\.(\w+)\(\)\Z")
_QUERIED: Final = regex(r"\.query\.(?:get|first|one|get_or_404|first_or_404)\(\)\Z|\.query\.filter_by\(\)\.first\(\)\Z")
SQLALCHEMY: Final = ("sqlalchemy", "flask_sqlalchemy", "sqlmodel")
WEB: Final = ("django", "rest_framework", "flask", "starlette", "fastapi", "pyramid")
REQUESTS: Final = frozenset(
    {"flask.request", "django.http.HttpRequest", "starlette.requests.Request", "fastapi.Request"}
)
PLAIN: Final = frozenset({"str", "int", "float", "dict", "list", "tuple", "bool"})
"""What a class may inherit and stay what JSON knows."""
TYPED: Final = frozenset({"TypedDict", "NamedTuple", "IntEnum", "StrEnum", "IntFlag", "TextChoices", "IntegerChoices"})
MODELS: Final = frozenset({"django.db.models.Model", "django.contrib.auth.models.AbstractUser"})
EVERYTHING: Final = frozenset(
    {"delay", "send", "kiq", "perform_async", "delay_on_commit", "", "aperform_async", "perform_bulk", "aperform_bulk"}
)
"""Verbs that hand on all that they are given; "" is a plain call."""
TIMED: Final = frozenset({"perform_in", "perform_at", "aperform_in", "aperform_at", "enqueue_on_commit"})
"""Verbs whose first argument is no part of it."""
PACKED: Final = {"apply_async": 0, "apply_async_on_commit": 0, "send_with_options": 9, "schedule": 9, "send_task": 1}
"""Verbs that are given a list and a mapping, by position from here on, or as ``args=`` and ``kwargs=``."""


SIGNATURES: Final = frozenset({"s", "si"})
"""Verbs that make a signature of a task and of what it is to be handed."""


@dataclass(frozen=True, slots=True)
class Where:
    """Where a value stands: in which function, and until when what was bound there counts."""

    names: Names
    function: Function
    at: tuple[int, int]


def given(names: Names, function: Function, call: ast.Call, verb: str) -> tuple[Given, ...]:
    """All that this enqueue hands on and that is more than text, numbers, lists and mappings of them, each once."""
    where = Where(names, function, Function.at(call))
    found = (one for node in [*_signed(call), *_payload(call, verb)][:MOST] for one in _of(where, node, 0))
    return tuple(dict.fromkeys(found))


def _signed(call: ast.Call) -> Iterator[ast.expr]:
    """What a signature of Celery's was given: ``task.s(1).delay()``, ``chain(a.s(1), b.si(2)).apply_async()``."""
    made = call.func.value if isinstance(call.func, ast.Attribute) else None
    for one in ast.walk(made) if isinstance(made, ast.Call | ast.BinOp) else ():
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr in SIGNATURES:
            yield from map(_bare, one.args)
            yield from (keyword.value for keyword in one.keywords)


def _payload(call: ast.Call, verb: str) -> Iterator[ast.expr]:
    """The expressions that a call hands to the job."""
    if verb in PACKED:
        first = PACKED[verb]
        yield from (_bare(one) for one in call.args[first : first + 2])
        yield from (one.value for one in call.keywords if one.arg in {"args", "kwargs"})
        return
    if verb in EVERYTHING or verb in TIMED:
        skipped = 1 if verb in TIMED else 0
    elif verb in SCHEDULES:
        skipped = SCHEDULES[verb] + 1
    else:
        return
    yield from (_bare(one) for one in call.args[skipped:])
    yield from (one.value for one in call.keywords)


def _bare(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Starred) else node


def _of(where: Where, node: ast.expr, depth: int) -> Iterator[Given]:
    """What a value is, or holds."""
    if depth > DEEPEST:
        return
    if type(node) in PLAINLY:
        yield Given(PLAINLY[type(node)])
    elif isinstance(node, ast.Constant):
        yield from [Given(Value.BYTES)] if isinstance(node.value, bytes) else []
    elif isinstance(node, ast.List | ast.Tuple | ast.ListComp | ast.Dict | ast.IfExp):
        for one in _inside(node):
            yield from _of(where, one, depth + 1)
        if isinstance(node, ast.Dict) and any(map(_is_other, node.keys)):
            yield Given(Value.OTHER_KEYS)
    elif isinstance(node, ast.Name):
        yield from _named(where, node, depth)
    elif isinstance(node, ast.Call | ast.Attribute | ast.Await):
        yield from _spelt(where, node.value if isinstance(node, ast.Await) else node)


def _inside(node: ast.expr) -> Iterator[ast.expr]:
    if isinstance(node, ast.List | ast.Tuple):
        yield from (_bare(one) for one in node.elts)
    elif isinstance(node, ast.ListComp):
        yield node.elt
    elif isinstance(node, ast.Dict):
        yield from node.values
    elif isinstance(node, ast.IfExp):
        yield from (node.body, node.orelse)


def _is_other(key: ast.expr | None) -> bool:
    """Whether a key is a literal that JSON writes as text, or cannot write."""
    if isinstance(key, ast.UnaryOp):
        key = key.operand
    return isinstance(key, ast.Tuple) or (isinstance(key, ast.Constant) and not isinstance(key.value, str))


def _named(where: Where, node: ast.Name, depth: int) -> Iterator[Given]:
    """What a name stands for here: what it was bound to last before, else what it is."""
    function = where.function
    bound = [one for one in function.bindings if isinstance(one.target, ast.Name) and one.target.id == node.id]
    if bound:
        before = [one for one in bound if Function.at(one.target) < where.at]
        if before and (value := before[-1].value) is not None:
            yield from _of(where, value, depth + 1)
        return
    if (
        node.id == "request"
        and "request" in function.locals
        and where.names.imports(*WEB)
        and not function.types.get("request")
    ):
        yield Given(Value.REQUEST, "request")
        return
    key = where.names.held_as(function.module.dotted(node, function))
    if key:
        module, value = where.names.held[key]
        outside = Where(where.names, module.body, (1 << 60, 0))
        if isinstance(value, ast.Dict | ast.Set | ast.SetComp | ast.Lambda | ast.Call):
            yield from _of(outside, value, depth + 1)
        return
    yield from _spelt(where, node)


def _spelt(where: Where, node: ast.expr) -> Iterator[Given]:
    """What an expression is by its name from outside."""
    names = where.names
    name = names.spelt(node, where.function)
    called = name.removesuffix("()")
    found: Value | None = None
    if not name:
        found = Value.BYTES if _is_encoded(node) else None
    elif name in REQUESTS or called in REQUESTS:
        found = Value.REQUEST
    elif name.endswith("()"):
        found = MADE.get(called) or _record(where, name) or _made(names, called)
    elif name in names.functions:
        found = Value.FUNCTION
    elif name in names.classes:
        found = Value.CLASS
    if found is not None:
        yield Given(found, called)


def _is_encoded(node: ast.expr) -> bool:
    """``"text".encode()``."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "encode":
        return False
    return isinstance(node.func.value, ast.JoinedStr | ast.Constant)


def _record(where: Where, name: str) -> Value | None:
    """A record or a query of Django's, or a record of SQLAlchemy's."""
    managed = _MANAGED.search(name)
    if managed is not None:
        return Value.RECORD if managed[1] in ONE else Value.RECORDS if managed[1] in MANY else None
    if where.names.imports(*SQLALCHEMY) and _QUERIED.search(name):
        return Value.RECORD
    return None


def _made(names: Names, called: str) -> Value | None:
    """An object of one of the application's classes, unless JSON or kombu knows its kind."""
    if called not in names.classes:
        return None
    above = names.above(called)
    if any(one in PLAIN or one.rpartition(".")[2] in TYPED for one in above):
        return None
    if f"{called}.__json__" in names.functions or any(f"{one}.__json__" in names.functions for one in above):
        return None
    return Value.RECORD if any(one in MODELS or one.endswith(".models.Model") for one in above) else Value.OBJECT
