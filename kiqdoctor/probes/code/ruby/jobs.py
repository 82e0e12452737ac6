"""Which of the application's classes are jobs: by mixin, or by what they inherit."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.ruby.classes import Class, Classes, Method
from kiqdoctor.probes.tree.ruby import named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node

OPTIONS: Final = frozenset({"sidekiq_options", "shoryuken_options"})

LIBRARIES: Final = {
    "Sidekiq::Job": "sidekiq",
    "Sidekiq::Worker": "sidekiq",
    "Sidekiq::IterableJob": "sidekiq",
    "ActiveJob::Base": "activejob",
    "ApplicationJob": "activejob",
}


@dataclass(frozen=True, slots=True)
class Registered:
    """A class whose ``perform`` runs as a job."""

    cls: Class
    method: Method
    library: str
    queue: str = ""


def jobs(classes: Classes) -> Iterator[Registered]:
    """All of them."""
    for cls in classes.all.values():
        library = library_of(classes, cls)
        method = classes.method(cls, "perform", singleton=False) if library else None
        if method is not None:
            yield Registered(cls, method, library, _queue(classes, cls))


def _queue(classes: Classes, cls: Class) -> str:
    """The queue that the class, or what it inherits, names."""
    for one in (cls, *(above for above in classes.ancestors(cls) if isinstance(above, Class))):
        for node, _ in one.body:
            word, given = text(node.child_by_field_name("method")), named(node.child_by_field_name("arguments"))
            if word == "queue_as" and given:
                return string(given[0]) or ""
            pairs = (pair for pair in given if word in OPTIONS and pair.type == "pair")
            values = [pair.child_by_field_name("value") for pair in pairs if _key(pair) == "queue"]
            if values:
                return string(values[0]) or ""
    return ""


def _key(pair: "Node") -> str | None:
    return string(pair.child_by_field_name("key"))


def library_of(classes: Classes, cls: Class) -> str:
    """The library that makes jobs of such classes; "" for none."""
    outside = (above for above in classes.ancestors(cls) if isinstance(above, str))
    return next((LIBRARIES[above] for above in outside if above in LIBRARIES), "")
