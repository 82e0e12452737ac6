"""KEDA's ScaledObjects and Kubernetes' own autoscalers that scale what runs jobs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import Autoscalers, Scaler
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.probes.deployment.derived import Derived
    from kiqdoctor.probes.tree.documents import Table

MARKS: Final = (b"ScaledObject", b"ScaledJob", b"HorizontalPodAutoscaler")
KINDS: Final = frozenset(mark.decode() for mark in MARKS)
REDIS: Final = frozenset({"redis", "redis-cluster", "redis-sentinel"})


@probe(Read("Kubernetes manifests", "", "up to 1 MB each"), lane=Lane.FILES, deadline_s=30.0)
def autoscalers(tree: Tree) -> Autoscalers:
    """Each with what it looks at, and what runs beside it."""
    from kiqdoctor.probes.deployment.derived import derived
    from kiqdoctor.probes.deployment.paths import stage

    documents: list[tuple[str, Table]] = []
    unreadable: list[tuple[str, str]] = []
    for file in tree.named("**/*.yml", "**/*.yaml"):
        try:
            if any(mark in file.content() for mark in MARKS) and stage(file.path):
                documents += [(file.path, one) for one in _tables(file.yaml())]
        except UnreadableError:
            continue
        except UnparsedError as error:
            unreadable.append((file.path, str(error)))
    if not documents and not unreadable:
        raise AbsenceError("no file of the application says how its workers are scaled")
    found = tree.once(derived)
    scalers = [one for path, document in documents if (one := _scaler(path, document)) is not None]
    ours = [one for one in scalers if _runs_jobs(one, found)]
    targets = {one.target for one in ours}
    return Autoscalers(tuple(_beside(one, found, targets) for one in ours), tuple(unreadable))


def _tables(documents: tuple[object, ...]) -> "Iterator[Table]":
    from kiqdoctor.probes.tree.documents import Table

    for one in documents:
        if isinstance(one, Table):
            yield from one.tables("items") if one.text("kind") == "List" else [one]


def _scaler(path: str, document: "Table") -> Scaler | None:
    kind = document.text("kind")
    if kind not in KINDS:
        return None
    spec = document.table("spec")
    triggers = spec.tables("triggers") or spec.tables("metrics")
    lists = [clean(one.table("metadata").text("listName")) for one in triggers if one.text("type") in REDIS]
    others = [clean(one.text("type")) for one in triggers if one.text("type") not in REDIS]
    native = kind == "HorizontalPodAutoscaler"
    said = spec.whole("minReplicas" if native else "minReplicaCount")
    idle = spec.whole("idleReplicaCount")
    minimum = (1 if native else 0) if said is None else said
    key = "minReplicas" if native else "minReplicaCount"
    return Scaler(
        path,
        spec.lines.get(key, document.line),
        clean(spec.table("scaleTargetRef").text("name") or document.table("metadata").text("name")),
        minimum if idle is None else min(minimum, idle),
        tuple(one for one in lists if one),
        tuple(dict.fromkeys(others)),
        kind=kind,
    )


def _runs_jobs(one: Scaler, found: "Derived") -> bool:
    """Its target starts a worker as far as files tell, or it looks at queues."""
    if any(name.rpartition(":")[0].rpartition(":")[2] == "queue" or "queue:" in name for name in one.lists):
        return True
    from kiqdoctor.probes.deployment.programs import Role

    return any(_is_target(each.started.unit, one.target) for each in found.running if each.command.role is Role.WORKER)


def _is_target(unit: str, target: str) -> bool:
    return unit.partition("/")[2].partition(":")[0] == target


def _beside(one: Scaler, found: "Derived", targets: set[str]) -> Scaler:
    """With a worker that no autoscaler may take away."""
    import msgspec

    for each in found.running:
        scaled = any(_is_target(each.started.unit, target) for target in targets)
        if each.command.program in {"sidekiq", "sidekiqswarm", "kiqdoctor"} and not scaled and each.replicas:
            return msgspec.structs.replace(one, steady=f"{each.started.path}:{each.started.line}")
    return one
