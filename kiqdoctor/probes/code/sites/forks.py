"""Where the application's own code makes processes."""

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

PYTHON: Final = ("os.fork", "multiprocessing.Process", "multiprocessing.Pool", "concurrent.futures.ProcessPoolExecutor")
RUBY: Final = frozenset({"fork", "Kernel.fork", "Process.fork", "Process.daemon"})


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def forks(tree: Tree) -> Forks:
    """All of them; servers that fork are no business of the code's."""
    return Forks(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[Named]:
    for call, dotted in function.calls:
        name = index.names.resolved(dotted)
        if name.startswith(PYTHON):
            yield Named(function.number, *function.at(call), name)


def _ruby(index: "Index", method: "Method") -> Iterator[Named]:
    found = [(method.at(sent.node), sent.name) for sent in method.calls]
    found += [(where, word) for word, where in method.words.items()]
    own = method.owner is not None and index.classes.method(method.owner, "fork", singleton=False) is not None
    for where, name in found:
        if name in RUBY and not (own and name == "fork"):
            yield Named(method.number, *where, name)
