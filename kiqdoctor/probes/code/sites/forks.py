"""Where the application's own code makes processes."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Forks, Named
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

LIBRARIES: Final = ("multiprocessing", "multiprocess", "torch.multiprocessing", "billiard")
MAKERS: Final = frozenset({"Process", "Pool", "pool.Pool", "Manager"})
EXECUTORS: Final = frozenset(
    {"concurrent.futures.ProcessPoolExecutor", "concurrent.futures.process.ProcessPoolExecutor"}
)
BARE: Final = frozenset({"os.fork", "os.forkpty", "pty.fork"})
CONTEXT: Final = "get_context()"
SPAWNS: Final = frozenset({"spawn", "forkserver"})
RUBY: Final = frozenset({"fork", "Kernel.fork", "Process.fork", "Process.daemon"})


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def forks(tree: Tree) -> Forks:
    """All of them; servers that fork are no business of the code's."""
    return Forks(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[Named]:
    for call, dotted in function.calls:
        name = index.names.resolved(dotted)
        if name in BARE or (_makes(name) and not _spawns(index, function, call, name)):
            yield Named(function.number, *function.at(call), name)


def _makes(name: str) -> bool:
    """Whether it makes processes: ``multiprocessing.Pool``, ``multiprocess.get_context().Pool``, an executor."""
    library = next((one for one in LIBRARIES if name.startswith(f"{one}.")), "")
    made = name.removeprefix(f"{library}.").removeprefix(f"{CONTEXT}.") if library else ""
    return made in MAKERS or name in EXECUTORS


def _spawns(index: "Index", function: "Function", call: ast.Call, name: str) -> bool:
    """Whether its context, or else the application, says that a process begins anew."""
    given = next((one.value for one in call.keywords if one.arg == "mp_context"), None)
    asked = given if given is not None else call.func.value if isinstance(call.func, ast.Attribute) else None
    if asked is not None and (given is not None or CONTEXT in name):
        maker, _ = index.names.valued(function, asked)
        return isinstance(maker, ast.Call) and _says(maker)
    return index.tree_wide(_set_to_spawn)


def _set_to_spawn(index: "Index") -> bool:
    return any(
        _says(call)
        for unit in index.names.units
        for call, dotted in unit.calls
        if index.names.resolved(dotted).endswith(".set_start_method")
    )


def _says(call: ast.Call) -> bool:
    given = [*call.args, *(one.value for one in call.keywords)]
    return any(isinstance(one, ast.Constant) and one.value in SPAWNS for one in given)


def _ruby(index: "Index", method: "Method") -> Iterator[Named]:
    found = [(method.at(sent.node), sent.name) for sent in method.calls]
    found += [(where, word) for word, where in method.words.items()]
    own = method.owner is not None and index.classes.method(method.owner, "fork", singleton=False) is not None
    for where, name in found:
        if name in RUBY and not (own and name == "fork"):
            yield Named(method.number, *where, name)
