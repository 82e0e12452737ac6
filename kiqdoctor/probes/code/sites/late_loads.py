"""What is loaded while jobs run because of how the application loads its own code."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code.habits import LateLoad, LateLoads, Lateness
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.ruby.naming import arguments_of
from kiqdoctor.probes.tree.ruby import string, text
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function, Module
    from kiqdoctor.probes.code.ruby.classes import Method

COMPUTED: Final = frozenset({"importlib.import_module", "__import__"})
CHANGES: Final = frozenset(
    {"os.putenv", "os.chdir", "os.umask", "locale.setlocale", "socket.setdefaulttimeout", "random.seed"}
    | {"warnings.simplefilter", "warnings.filterwarnings", "signal.signal", "os.environ.update", "time.tzset"}
)
PRODUCTION: Final = "config/environments/production.rb"
MOST: Final = 2_000  # modules that are followed from one


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def late_loads(tree: Tree) -> LateLoads:
    """Of what jobs lead to in Python; of settings and jobs' own files in Ruby."""
    return LateLoads(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[LateLoad]:
    if not function.name or function.number >= index.code.reached:
        return
    for call, dotted in function.calls:
        if (dotted or getattr(call.func, "id", "")) in COMPUTED and call.args:
            value, _ = index.names.valued(function, call.args[0])
            if not isinstance(value, ast.Constant):
                yield LateLoad(function.number, *function.at(call), ast.unparse(call.args[0])[:80], Lateness.COMPUTED)
    known = {module.name: module for module in index.names.modules} if function.imports else {}
    for node in function.imports:
        for module in _named(known, function.module, node):
            if module is function.module or _booted(known, module):
                continue
            if function.module in _reached(known, module):
                yield LateLoad(function.number, *function.at(node), module.name, Lateness.CYCLE)
            elif _changes(index, module):
                yield LateLoad(function.number, *function.at(node), module.name, Lateness.CHANGES)


def _named(known: "dict[str, Module]", module: "Module", node: ast.Import | ast.ImportFrom) -> "Iterator[Module]":
    """The application's modules that a statement loads."""
    base = module.base_of(node) if isinstance(node, ast.ImportFrom) else ""
    for alias in node.names:
        whole = f"{base}.{alias.name}" if base else alias.name
        found = known.get(whole) or known.get(base)
        if found is not None:
            yield found


def _booted(known: "dict[str, Module]", wanted: "Module") -> bool:
    """Whether another module loads it when it is loaded itself."""
    return any(
        wanted in _named(known, module, node)
        for module in known.values()
        if module is not wanted
        for node in module.body.imports
    )


def _reached(known: "dict[str, Module]", first: "Module") -> "list[Module]":
    """What loading a module loads too."""
    todo = [first]
    for one in todo:
        new = {found.name: found for node in one.body.imports for found in _named(known, one, node)}
        todo += [found for found in new.values() if found not in todo and len(todo) < MOST]
    return todo[1:]


def _changes(index: "Index", module: "Module") -> bool:
    """Whether loading it changes what the whole process shares."""
    called = any(index.names.resolved(dotted) in CHANGES for _, dotted in module.body.calls)
    items = (one.value for one in module.body.changed if isinstance(one, ast.Subscript))
    return called or any(index.names.spelt(one, module.body) == "os.environ" for one in items)


def _ruby(index: "Index", method: "Method") -> Iterator[LateLoad]:
    if not method.body:
        return
    if method.path.endswith(PRODUCTION) and not index.tree_wide(_loads_all):
        for node in method.assignments:
            left, right = text(node.child_by_field_name("left")), text(node.child_by_field_name("right"))
            if left.endswith(".eager_load") and (right in {"false", "nil"} or "ENV" in right):
                yield LateLoad(method.number, *method.at(node), f"eager_load = {right[:80]}", Lateness.EAGER)
    if any(index.code.functions[job.function].place.path == method.path for job in index.code.jobs):
        for sent in method.calls:
            given = arguments_of(sent.node)
            if sent.name == "autoload" and given and (name := string(given[0])):
                yield LateLoad(method.number, *method.at(sent.node), name, Lateness.AUTOLOAD)


def _loads_all(index: "Index") -> bool:
    return any(sent.name.endswith("eager_load!") for unit in index.classes.units for sent in unit.calls)
