"""Calls that may build any object from data, and where the data comes from."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Deserialization, Deserializations, Origin
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, arguments_of, name_of
from kiqdoctor.probes.tree.ruby import string, text
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.handed import Handed
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

PICKLES: Final = frozenset(
    f"{module}.{word}"
    for module in ("pickle", "cPickle", "_pickle", "dill", "cloudpickle", "marshal")
    for word in ("load", "loads", "Unpickler")
) | {"jsonpickle.decode", "jsonpickle.loads", "joblib.load", "pandas.read_pickle"}
YAML: Final = frozenset(
    f"yaml.{word}" for word in ("load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all")
)
ASKED: Final = {"torch.load": ("weights_only", "False"), "numpy.load": ("allow_pickle", "True")}
"""Those that build any object only where a keyword says so."""
SAFE_LOADERS: Final = frozenset({"yaml.SafeLoader", "yaml.CSafeLoader", "yaml.BaseLoader", "yaml.CBaseLoader"})
RUBY: Final = frozenset(
    f"{module}.{word}"
    for module in ("YAML", "Psych")
    for word in ("load", "load_file", "load_stream", "unsafe_load", "unsafe_load_file")
) | {"Marshal.load", "Marshal.restore", "Oj.object_load"}
OJ: Final = "Oj.load"
CACHES: Final = ("cache", "redis", "memcache")
PICKLED: Final = "django.core.cache."
"""Django's own cache, which pickles whatever it is given: who may write there needs no second pickle."""
MOST_STEPS: Final = 20  # links of a chain that are looked at for a cache's name


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def deserializations(tree: Tree) -> Deserializations:
    """Those that a job leads to."""
    from kiqdoctor.probes.code.handed import Handed
    from kiqdoctor.probes.code.index import indexed

    handed = Handed(indexed(tree))
    return Deserializations(
        *sites(
            tree,
            lambda index, function: _python(index, function, handed),
            lambda index, method: _ruby(index, method, handed),
        )
    )


def _python(index: "Index", function: "Function", handed: "Handed") -> Iterator[Deserialization]:
    if function.number >= index.code.reached:
        return
    for call, dotted in function.calls:
        name = index.names.resolved(dotted)
        if name in PICKLES or name in YAML or (name in ASKED and _asks(call, *ASKED[name])):
            origin = _origin(index, function, call, handed.names(function))
            plain = name in YAML and _plain(index, function, call, name)
            given = index.names.arguments(function, call)
            yield Deserialization(function.number, *function.at(call), name, given, origin=origin, plain=plain)


def _asks(call: ast.Call, keyword: str, value: str) -> bool:
    return any(
        one.arg == keyword and isinstance(one.value, ast.Constant) and str(one.value.value) == value
        for one in call.keywords
    )


def _plain(index: "Index", function: "Function", call: ast.Call, name: str) -> bool:
    """Whether YAML is read by a loader that makes no objects, or by one that descends from such."""
    if not name.startswith("yaml.load"):
        return False
    given = [one.value for one in call.keywords if one.arg == "Loader"] or call.args[1:2]
    loader = index.names.spelt(given[0], function) if given else ""
    return loader in SAFE_LOADERS or not SAFE_LOADERS.isdisjoint(index.names.above(loader))


def _origin(index: "Index", function: "Function", call: ast.Call, names: frozenset[str]) -> Origin:
    from kiqdoctor.probes.code.python.handing import branches, holds

    data = call.args[0] if call.args else next((one.value for one in call.keywords), None)
    if data is None:
        return Origin.OTHER
    if holds(data, names):
        return Origin.ARGUMENT
    value, where = index.names.valued(function, data)
    if isinstance(value, ast.Constant):
        return Origin.LITERAL
    if any(isinstance(one, ast.expr) and index.names.spelt(one, where).startswith(PICKLED) for one in branches(value)):
        return Origin.OTHER
    cached = any(word in _chain(one) for one in branches(value) for word in CACHES)
    return Origin.CACHE if cached else Origin.OTHER


def _chain(node: ast.AST) -> str:
    """The names of a chain of calls, as they are written."""
    parts: list[str] = []
    one: ast.AST = node
    for _ in range(MOST_STEPS):
        if isinstance(one, ast.Attribute):
            parts.append(one.attr)
        elif isinstance(one, ast.Name):
            parts.append(one.id)
        inner = getattr(one, "func", getattr(one, "value", None))
        if not isinstance(inner, ast.AST):
            break
        one = inner
    return ".".join(parts).lower()


def _ruby(index: "Index", method: "Method", handed: "Handed") -> Iterator[Deserialization]:
    if method.number >= index.code.reached:
        return
    for sent in method.calls:
        given = sent.arguments
        asked = sent.name == OJ and any(one.name == "mode" and one.text == "object" for one in given)
        if sent.name in RUBY or asked:
            data = next(iter(arguments_of(sent.node)), None)
            origin = _origin_in_ruby(method, data, handed.names(method))
            yield Deserialization(method.number, *method.at(sent.node), sent.name, given, origin=origin)


def _origin_in_ruby(method: "Method", data: "Node | None", names: frozenset[str]) -> Origin:
    from kiqdoctor.probes.code.ruby.handing import holds

    if holds(data, names):
        return Origin.ARGUMENT
    value = method.locals.get(_word(data), data) if data is not None else None
    if value is None or _is_fixed(value):
        return Origin.LITERAL if value is not None else Origin.OTHER
    return Origin.CACHE if any(word in name_of(value).lower() for word in CACHES) else Origin.OTHER


def _word(node: "Node | None") -> str:
    """A local variable's name; "" of anything else."""
    return text(node) if node is not None and node.type == "identifier" else ""


def _is_fixed(node: "Node") -> bool:
    """Whether a value is told by the source alone: a text, a file of the application by its name."""
    todo = [node]
    while todo:
        one = todo.pop()
        if one.type in CONSTANTS or string(one) is not None:
            continue
        if one.type != "call":
            return False
        receiver = one.child_by_field_name("receiver")
        if receiver is None:
            return False
        todo += [receiver, *arguments_of(one)]
    return True
