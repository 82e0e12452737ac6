"""Which queue Active Job hands its jobs to, as the application's Ruby says."""

from collections.abc import Iterator

from kiqdoctor.doctor.facts.code import Place
from kiqdoctor.probes.code.ruby.classes import Classes, Method
from kiqdoctor.probes.deployment.paths import stage
from kiqdoctor.probes.tree.ruby import string, text
from kiqdoctor.records import dataclass

SETTING = "queue_adapter"
ENVIRONMENTS = "/config/environments/"


@dataclass(frozen=True, slots=True)
class Adapter:
    """One statement of it; ``name`` is "" where that is computed."""

    name: str
    place: Place


def adapters(classes: Classes) -> list[Adapter]:
    """All statements but those for trials, those of production last, those of an environment of its own first."""
    found = [one for method in classes.units if stage(method.path) for one in _set(method)]
    return sorted(found, key=lambda one: (stage(one.place.path), ENVIRONMENTS not in f"/{one.place.path}"))


def _set(method: Method) -> Iterator[Adapter]:
    for node in method.assignments:
        left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
        if left is not None and left.type == "call" and text(left.child_by_field_name("method")) == SETTING:
            yield Adapter(string(right) or "", Place(method.path, *method.at(node)))
