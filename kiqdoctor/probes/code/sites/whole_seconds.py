"""WholeSeconds of whole seconds by which caches and clients tell that what a job updates has not changed."""

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code.habits import Precision, WholeSecond, WholeSeconds
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.python.module import Binding, Function
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.ruby.naming import arguments_of
from kiqdoctor.probes.tree.ruby import string, text, walk
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.graph import Unit
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.ruby.classes import Method

CHANGED: Final = r"(?:last_)?(?:updated|modified|changed)(?:_at|_on|_time)?|last_(?:update|change)"
_OF: Final = r"(?P<of>(?<!\w)\w{1,100}+)(?:\([^()]{0,200}+\))?"  # a word is begun once, and has an end
_AT: Final = rf"(?:{_OF}\.)?(?:{CHANGED})"
_SECONDS: Final = (
    r"strftime\(['\"][^'\"%]{0,60}+(?:%[^f'\"][^'\"%]{0,60}+){0,20}+['\"]\)"
    r"|replace\(microsecond=0\)|(?:utc)?timetuple\(\)"
)
WHOLE: Final = regex(
    rf"(?:int|round|floor)\(\s{{0,20}}(?:[\w.]{{0,200}}\.)??{_AT}(?:\.timestamp\(\))?\s{{0,20}}\)"
    rf"|{_AT.replace('?P<of>', '?P<of2>')}\.(?:{_SECONDS})"
    rf"|{_AT.replace('?P<of>', '?P<of3>')}:%s\b"
)
"""A stamp of a record without its fraction, in Python."""
IN_RUBY: Final = regex(
    rf"{_OF}&?\.(?:{CHANGED})&?\.(?:to_i\b|strftime\([\"'](?!.{{0,200}}%[LN])|to_(?:fs|s)\(:number\))"
)
PLAIN: Final = regex(rf"{_OF}&?\.(?:{CHANGED})\b")
TELLS: Final = regex(r"cache_?key|etag|version_key|(?:^|_)key$", re.IGNORECASE)
"""Names of what a cache or a client compares."""
CACHE: Final = regex(r"cache", re.IGNORECASE)
ASKS: Final = frozenset(
    {"get", "set", "add", "get_or_set", "get_many", "fetch", "read", "write", "exist?", "cache", "has_key"}
)
KEEPS: Final = frozenset({"set", "add", "get_or_set", "get", "write"})
"""Of these the first argument alone is the key."""
OTHERWISE: Final = regex(
    r"version|digest|sha\d|md5|nsec|usec|microsecond(?!=0)|expires_in: (?:0\.\d+|1)\b|timeout=1\b", re.IGNORECASE
)
"""What makes a key of its own, or lets it live for no longer than the second that it loses."""
_WRITE: Final = (
    r"\.(?:save!?|update!?|update_columns?|update_attributes?!?|touch|bulk_update|increment!|toggle!|upsert\w*{})(?!\w)"
    r"|\.(?:status|state|progress|\w+_at) = "
)
WRITES: Final = {"python": regex(_WRITE.format("|commit|merge")), "ruby": regex(_WRITE.format(""))}
"""Ruby's ``merge`` is of hashes; SQLAlchemy's writes a record."""
STAGES: Final = regex(
    r"(?:status|state|stage|phase|progress|percent)[\"']?\s{0,3}(?:=>|=(?!=)|:(?!:))"
    r"|(?:queued|started|finished|completed|processed|failed|done)at\b|\.(?:start|finish|complete|process|fail|done)\w{0,4}!"
)
"""Of a text in small letters without underscores: what a record has come to is written."""
ALL: Final = "*"
"""In place of a record's name: whatever jobs write."""
CONDITIONS: Final = frozenset({"django.views.decorators.http.condition", "django.views.decorators.http.last_modified"})
DATETIMES: Final = frozenset({"DATETIME", "TIMESTAMP"})
ANYBODY: Final = frozenset({"self", "obj", "object", "record", "instance", "row", "item", "model", "this", "resource"})
SHORT: Final = 3  # letters of a variable that says nothing of what it holds
FORMATS: Final = frozenset({"nsec", "usec", "inspect"})
LONGEST_COLUMN: Final = 200  # bytes of its line in a schema
NEAR: Final = 400  # characters
MOST: Final = 3_000  # functions of jobs that are looked through


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def whole_seconds(tree: Tree) -> WholeSeconds:
    """Of records that a job writes, as far as names tell."""
    written = _Written()
    found, partial = sites(
        tree,
        lambda index, function: _python(index, function, written),
        lambda index, method: _ruby(index, method, written),
    )
    return WholeSeconds(found, partial)


class _Written:
    """Which records jobs write; what they say is read once."""

    def __init__(self) -> None:
        self._texts: list[tuple[int, str]] | None = None

    def __call__(self, index: "Index", what: str) -> Iterator[tuple[int, bool]]:
        """Which function of a job writes a record of this name (any, where the name says nothing): one, or none.

        True where it writes what that has come to.
        """
        plain = what.lower().replace("_", "").strip("@")
        vague = plain in ANYBODY or len(plain) <= SHORT
        texts = [(number, one) for number, one in self._of(index) if vague or plain in one or plain.rstrip("s") in one]
        telling = (
            [number for number, one in texts if _tells(one, plain, vague=vague)] if not vague or what == ALL else []
        )
        yield from [(number, bool(telling)) for number in (telling or [number for number, _ in texts])[:1]]

    def _of(self, index: "Index") -> list[tuple[int, str]]:
        """Functions of jobs that write records, without what tells one spelling from another."""
        if self._texts is None:
            texts = [(unit, _source(unit)) for unit in index.units[: min(index.code.reached, MOST)]]
            self._texts = [
                (unit.number, one.lower().replace("_", ""))
                for unit, one in texts
                if WRITES["python" if isinstance(unit, Function) else "ruby"].search(one)
            ]
        return self._texts


def _tells(words: str, name: str, *, vague: bool) -> bool:
    """Whether what something has come to is written close behind its name."""
    begin = words.find(name) if not vague else 0
    while begin >= 0:
        if STAGES.search(words[begin : begin + NEAR] if not vague else words):
            return True
        begin = words.find(name, begin + NEAR) if not vague else -1
    return False


def _source(unit: "Unit") -> str:
    if isinstance(unit, Function):
        return ast.unparse(unit.node)
    return text(getattr(unit, "node", None))


def _of(found: "re.Match[str]") -> str:
    return next((value for value in found.groupdict().values() if value), "")


# -- Python --------------------------------------------------------------------------------------------------------


def _python(index: "Index", function: Function, written: _Written) -> Iterator[WholeSecond]:
    for node, words in _keys(function):
        found = WHOLE.search(words)
        if found is not None and not OTHERWISE.search(words):
            for writer, stages in written(index, _called(function, _of(found))):
                yield WholeSecond(function.number, *Function.at(node), found[0][:80], Precision.KEY, stages, writer)
    yield from _conditioned(index, function, written)
    for binding in function.bindings if not function.name else ():
        found_name = _column(index, function, binding)
        if found_name and binding.value is not None:
            for writer, stages in written(index, binding.owner.rpartition(".")[2]):
                yield WholeSecond(
                    function.number, *Function.at(binding.value), found_name, Precision.COLUMN, stages, writer
                )


def _called(function: Function, name: str) -> str:
    """What a variable holds, where it is looked up by its model: ``Report.objects.get(...)``."""
    if name == "self" and function.owner:
        return function.owner
    value = function.values.get(name)
    words = ast.unparse(value) if value is not None else ""
    found = re.search(r"\b([A-Z]\w+)\b", words)
    return found[1] if found is not None else name


def _keys(function: Function) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """What a cache or a client compares: bound to such a name, handed to a cache, or returned by such a function."""
    for one in function.bindings:
        if one.value is not None and TELLS.search(_worded(one.target)):
            yield one.value, ast.unparse(one.value)
    for call, _ in function.calls:
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in ASKS and CACHE.search(_worded(func.value)):
            yield call, ast.unparse(_asked(call, func.attr))
        for word in call.keywords:
            if word.arg and TELLS.search(word.arg):
                yield word.value, ast.unparse(word.value)
    if TELLS.search(function.name.rpartition(".")[2]):
        yield from ((one, ast.unparse(one)) for one in function.returns)
    for value in _headed(function, "etag"):
        yield value, ast.unparse(value)


def _asked(call: ast.Call, verb: str) -> ast.Call:
    """A call of a cache without what it keeps there: the second argument of all but a question."""
    keys = call.args[:1] if verb in KEEPS else call.args
    words = [one for one in call.keywords if one.arg not in {"value", "default", "defaults"}]
    return ast.Call(call.func, keys, words)


def _worded(node: ast.expr) -> str:
    """As it is written; names alone, which most are, without a tool that takes a hundred times as long."""
    names: list[str] = []
    top: ast.AST = node
    while isinstance(top, ast.Attribute):
        names.append(top.attr)
        top = top.value
    return ".".join([top.id, *reversed(names)]) if isinstance(top, ast.Name) else ast.unparse(node)


def _headed(function: Function, header: str) -> Iterator[ast.expr]:
    """What a function sets this header of an answer to."""
    for one in function.bindings if function.name else ():
        if one.value is not None and _header(one.target) == header:
            yield one.value


def _header(target: ast.expr) -> str:
    key = target.slice if isinstance(target, ast.Subscript) else None
    return key.value.lower() if isinstance(key, ast.Constant) and isinstance(key.value, str) else ""


def _conditioned(index: "Index", function: Function, written: _Written) -> Iterator[WholeSecond]:
    """A validator that is a date: ``@condition(last_modified_func=...)``, ``@last_modified(...)``."""
    outer = function.outer or function.module.body
    for one in function.decorators:
        name = index.names.spelt(one.func, outer) if isinstance(one, ast.Call) else ""
        if name not in CONDITIONS or not isinstance(one, ast.Call):
            continue
        words = {word.arg: word.value for word in one.keywords}
        etag = words.get("etag_func") or (one.args[0] if name.endswith("condition") and one.args else None)
        place = 0 if name.endswith("last_modified") else 1
        given = words.get("last_modified_func") or (one.args[place] if len(one.args) > place else None)
        if given is None or (etag is not None and not _none(etag)):
            continue
        said = ast.unparse(given)
        for target in index.names.targets(outer.module.dotted(given, outer)):
            said = ast.unparse(target.node)
        found = re.search(rf"\.(?:{CHANGED})\b|['\"](?:{CHANGED})['\"]", said)
        model = re.search(r"\b([A-Z]\w+)\.objects\b", said)
        for writer, stages in written(index, model[1] if model else "self") if found is not None else ():
            yield WholeSecond(function.number, *Function.at(one), said[:80], Precision.VALIDATOR, stages, writer)
    for value in _headed(function, "last-modified"):
        said = ast.unparse(value)
        found = PLAIN.search(said)
        alone = "etag" not in ast.unparse(function.node).lower()
        for writer, stages in written(index, _called(function, _of(found))) if found and alone else ():
            yield WholeSecond(function.number, *Function.at(value), said[:80], Precision.VALIDATOR, stages, writer)


def _none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _column(index: "Index", function: Function, binding: Binding) -> str:
    """``updated_at = Column(mysql.DATETIME())`` without ``fsp``, where something caches by it; "" for any other."""
    name = getattr(binding.target, "id", "")
    if binding.value is None or not binding.owner or not re.fullmatch(CHANGED, name):
        return ""
    parts = [one for one in ast.walk(binding.value) if isinstance(one, ast.Attribute | ast.Name)]
    spelt = [index.names.spelt(one, function) for one in parts]
    kinds = [one for one in spelt if "mysql" in one and one.removesuffix("()").rpartition(".")[2] in DATETIMES]
    plain = kinds and "fsp" not in ast.unparse(binding.value)
    return f"{binding.owner}.{name}" if plain and _cached(index, name) else ""


def _cached(index: "Index", name: str) -> bool:
    return any(
        f".{name}" in words and not OTHERWISE.search(words) for unit in index.names.units for _, words in _keys(unit)
    )


# -- Ruby ----------------------------------------------------------------------------------------------------------


def _ruby(index: "Index", method: "Method", written: _Written) -> Iterator[WholeSecond]:
    for node in method.assignments:
        yield from _format(index, method, node, written)
    for node, words in _ruby_keys(method):
        found = IN_RUBY.search(words)
        if found is not None and not OTHERWISE.search(words):
            for writer, stages in written(index, _model(method, _of(found))):
                yield WholeSecond(method.number, *method.at(node), found[0][:80], Precision.KEY, stages, writer)
    for sent in method.calls:
        if sent.last in {"stale?", "fresh_when"}:
            yield from _validator(index, method, sent.node, written)
        elif sent.name == "create_table" or sent.name.endswith(".create_table"):
            yield from _table(index, method, sent.node, written)


def _model(method: "Method", name: str) -> str:
    if name == "self" and method.owner is not None:
        return method.owner.name.rpartition("::")[2]
    value = method.locals.get(name)
    found = re.search(r"\b([A-Z]\w+)\b", text(value)) if value is not None else None
    return found[1] if found is not None else name


def _format(index: "Index", method: "Method", node: "Node", written: _Written) -> Iterator[WholeSecond]:
    left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
    if left is not None and text(left)[-80:].endswith("cache_timestamp_format"):
        said = string(right)
        for writer, stages in written(index, ALL) if said and said not in FORMATS else ():
            name = f"cache_timestamp_format = :{said}"
            yield WholeSecond(method.number, *method.at(node), name, Precision.SETTING, stages, writer)


def _ruby_keys(method: "Method") -> "Iterator[tuple[Node, str]]":
    for node in method.assignments:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None and right is not None and TELLS.search(text(left)[:80]):
            yield right, text(right)[:2000]
    for sent in method.calls:
        owner, _, last = sent.name.rpartition(".")
        if (last in ASKS and (CACHE.search(owner) or last == "cache")) or last in {"stale?", "fresh_when", "etag"}:
            given = arguments_of(sent.node)
            key = given[0] if last == "write" and given else sent.node.child_by_field_name("arguments")
            yield sent.node, text(key)[:2000]
    if not method.body and TELLS.search(method.short):
        yield method.node, text(method.node)[:2000]


def _validator(index: "Index", method: "Method", node: "Node", written: _Written) -> Iterator[WholeSecond]:
    """``stale?(last_modified: report.updated_at)``: a record by itself, or an ETag beside it, tells more."""
    given = arguments_of(node)
    pairs = {
        string(one.child_by_field_name("key")): one.child_by_field_name("value") for one in given if one.type == "pair"
    }
    said = text(pairs.get("last_modified"))
    found = PLAIN.search(said)
    alone = len(pairs) == len(given) and not pairs.keys() & {"etag", "strong_etag", "weak_etag"}
    for writer, stages in written(index, _model(method, _of(found))) if found is not None and alone else ():
        yield WholeSecond(method.number, *method.at(node), said[:80], Precision.VALIDATOR, stages, writer)


def _table(index: "Index", method: "Method", node: "Node", written: _Written) -> Iterator[WholeSecond]:
    """``t.datetime :updated_at, precision: 0`` of a table whose records something caches."""
    given = arguments_of(node)
    table = string(given[0]) if given else None
    for one in walk(node) if table and "precision: 0" in text(node) else ():
        words = text(one) if one.type == "call" and one.end_byte - one.start_byte < LONGEST_COLUMN else ""
        column = re.match(r"\w+\.(?:datetime|timestamp)\s*+(?:\(\s*+)?[:\"']updated_at\b.*precision: 0\b", words)
        if column or re.match(r"\w+\.timestamps\b.*precision: 0\b", words):
            for writer, stages in written(index, table.removesuffix("s")) if table and _by_record(index) else ():
                yield WholeSecond(
                    method.number, *method.at(one), f"{table}.updated_at", Precision.COLUMN, stages, writer
                )
            return


def _by_record(index: "Index") -> bool:
    """Whether something in Ruby caches by records: a view's ``cache`` is not read, so a call of it is enough."""
    return any(
        sent.last in {"stale?", "fresh_when", "cache", "cache_key", "cache_key_with_version"}
        or sent.name.startswith("Rails.cache.")
        for unit in index.classes.units
        for sent in unit.calls
    )
