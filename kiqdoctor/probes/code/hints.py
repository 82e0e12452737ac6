"""What the application's source says about how its jobs run, apart from how they are started."""

from kiqdoctor.probes.code.index import indexed
from kiqdoctor.probes.code.python.running import RQ_WORKERS, Said, said, worker_class
from kiqdoctor.probes.code.ruby.adapter import Adapter, adapters
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class Hints:
    """Settings of workers, the adapters of Active Job, and the classes of the application that are workers of RQ's."""

    settings: list[Said]
    adapters: list[Adapter]
    workers: dict[str, str]


def hints(tree: Tree) -> Hints:
    """Those of one application."""
    index = indexed(tree)
    own = {name: kind for name in index.names.classes if (kind := worker_class(index.names, name))}
    library = {f"{module}.{kind}": kind for module in ("rq", "rq.worker") for kind in RQ_WORKERS}
    return Hints(said(index.names), adapters(index.classes), {**own, **library})
