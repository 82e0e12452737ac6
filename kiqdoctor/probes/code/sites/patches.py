"""Calls that put greenlets in the place of threads, and what was imported before them."""

import ast
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Patch, Patches
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.python.module import Module
    from kiqdoctor.probes.code.python.names import Names

PATCHERS: Final = frozenset({"gevent.monkey.patch_all", "eventlet.monkey_patch", "eventlet.patcher.monkey_patch"})
KEEPERS: Final = frozenset(
    {"ssl", "threading", "requests", "urllib3", "redis", "httpx", "aiohttp", "boto3", "botocore", "psycopg2", "pymongo"}
    | {"http.client", "urllib.request", "concurrent.futures"}
)
"""What keeps the classes that are replaced, once it was imported."""
GREENLETS: Final = frozenset({"gevent", "eventlet"})
CONFIGURATIONS: Final = ("gunicorn.conf.py", "gunicorn_conf.py", "config/gunicorn.py")
RUNNER: Final = "gevent.monkey"
MOST: Final = 2_000  # modules that are followed from one


@probe(
    SOURCE,
    Read("the files that tell how it is deployed", "", "read once with them"),
    lane=Lane.FILES,
    deadline_s=DEADLINE,
)
def patches(tree: Tree) -> Patches:
    """Those in bodies of modules; what a function patches nobody knows the moment of."""
    from kiqdoctor.probes.tree.remembering import Store

    found = tree.once(Store).fact(Patches, {}, lambda: _written(tree))
    return Patches(found.sites, before=_started(tree) or found.before) if found.sites else found


def _written(tree: Tree) -> Patches:
    """What the source alone tells."""
    from kiqdoctor.probes.code.index import indexed

    names = indexed(tree).names
    by_name = {module.name: module for module in names.modules}
    found = tuple(one for module in names.modules for one in _of(names, by_name, module))
    return Patches(found, before=_configured(names) if found else "")


def _started(tree: Tree) -> str:
    """What patches before the application is loaded: a kind of worker, or gevent's own way to start."""
    from kiqdoctor.probes.deployment.derived import derived

    for one in tree.once(derived).running:
        kind = one.command.option("kind") or one.command.option("pool")
        if kind in GREENLETS or RUNNER in " ".join(one.started.words):
            return f"{one.command.program} at {one.started.path}:{one.started.line}"
    return ""


def _configured(names: "Names") -> str:
    """The kind of worker that a configuration in Python names."""
    for module in names.modules:
        value = module.held.get("worker_class") if module.path.endswith(CONFIGURATIONS) else None
        if isinstance(value, ast.Constant) and value.value in GREENLETS:
            return f"worker_class at {module.path}:{value.lineno}"
    return ""


def _of(names: "Names", by_name: "dict[str, Module]", module: "Module") -> Iterator[Patch]:
    body = module.body
    for call, dotted in body.calls:
        name = names.resolved(dotted)
        if name in PATCHERS:
            early, line, way = next(_early(by_name, module, call.lineno), ("", 0, ()))
            at = body.at(call)
            yield Patch(body.number, *at, name, early=early, early_line=line, way=way, guarded=_guarded(module, call))


def _guarded(module: "Module", call: ast.Call) -> bool:
    spans = (one for one in module.body.node.body if isinstance(one, ast.If))
    return any(one.lineno <= call.lineno <= (one.end_lineno or one.lineno) for one in spans)


def _early(by_name: "dict[str, Module]", module: "Module", line: int) -> Iterator[tuple[str, int, tuple[str, ...]]]:
    """What a module imports above a line, itself or by the application's own modules; the shortest way first."""
    todo: deque[tuple[Module, int, int, tuple[str, ...]]] = deque([(module, line, 0, ())])
    seen = {module.name}
    while todo and len(seen) < MOST:
        one, until, first, way = todo.popleft()
        for at, name in _imported(one):
            if at >= until:
                continue
            if keeper := next((each for each in KEEPERS if name == each or name.startswith(f"{each}.")), ""):
                yield keeper, first or at, way
            for own in (name, name.rpartition(".")[0]):
                if own in by_name and own not in seen:
                    seen.add(own)
                    todo.append((by_name[own], 1 << 60, first or at, (*way, own)))


def _imported(module: "Module") -> Iterator[tuple[int, str]]:
    for node in module.body.imports:
        base = f"{module.base_of(node)}." if isinstance(node, ast.ImportFrom) else ""
        yield from ((node.lineno, f"{base}{alias.name}") for alias in node.names)
