"""Which of the application's classes are jobs: by mixin, or by what they inherit; and what runs with each."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.ruby.classes import Class, Classes, Method
from kiqdoctor.probes.code.ruby.filling import HOOKS
from kiqdoctor.probes.code.ruby.naming import CONSTANTS
from kiqdoctor.probes.tree.ruby import block, named, string, text, walk
from kiqdoctor.records import dataclass

if TYPE_CHECKING:
    from tree_sitter import Node

LIBRARIES: Final = {
    **dict.fromkeys(("Sidekiq::Job", "Sidekiq::Worker", "Sidekiq::IterableJob"), "sidekiq"),
    **dict.fromkeys(("ActiveJob::Base", "ApplicationJob", "ActionMailer::MailDeliveryJob"), "activejob"),
    "Shoryuken::Worker": "shoryuken",
    "SuckerPunch::Job": "sucker_punch",
    "Sneakers::Worker": "sneakers",
    "Que::Job": "que",
}
RUNS: Final = ("perform", "each_iteration")
OTHERWISE: Final = {"sneakers": ("work", "work_with_params"), "que": ("run",)}
"""What runs, of libraries that call it something else."""
BESIDE: Final = ("build_enumerator", "each_iteration", *sorted(HOOKS))
"""Methods that a library calls around the job, where its class has them."""
OPTIONS: Final = frozenset({"sidekiq_options", "shoryuken_options"})
RESQUE: Final = "@queue"
MIDDLEWARE: Final = "server_middleware"
ADDS: Final = frozenset({"add", "prepend", "insert_before", "insert_after"})


@dataclass(frozen=True, slots=True)
class Registered:
    """A class whose method runs as a job."""

    cls: Class
    method: Method
    library: str
    queue: str = ""


def jobs(classes: Classes) -> Iterator[Registered]:
    """All of them; what runs around a job is an edge of what runs."""
    around = [*_middleware(classes)]
    for cls in classes.all.values():
        library = library_of(classes, cls)
        method = _run(classes, cls, library) if library else None
        if method is not None:
            _surround(classes, cls, method, around if library in {"sidekiq", "activejob"} else [])
            yield Registered(cls, method, library, _queue(classes, cls))


def library_of(classes: Classes, cls: Class) -> str:
    """The library that makes jobs of such classes; "" for none. An application may add to a library's own class."""
    names = (above if isinstance(above, str) else above.name for above in classes.ancestors(cls))
    found = next((LIBRARIES[above] for above in names if above in LIBRARIES), "")
    return found or ("resque" if RESQUE in cls.held and "perform" in cls.singletons else "")


def _run(classes: Classes, cls: Class, library: str) -> Method | None:
    if cls.name in LIBRARIES:
        return None
    names = OTHERWISE.get(library, RUNS)
    return next((one for name in names if (one := classes.method(cls, name, singleton=library == "resque"))), None)


def _surround(classes: Classes, cls: Class, run: Method, around: list[Method]) -> None:
    line = (cls, *(one for one in classes.ancestors(cls) if isinstance(one, Class)))
    hooks = [hook for one in line for hook in one.hooks]
    named_ones = [one for name in BESIDE if (one := classes.method(cls, name, singleton=False)) is not None]
    told = [one for each in line for node, _ in each.body for one in _told(classes, cls, node)]
    before = [one for each in line for node, _ in each.body for one in _prepended(classes, cls, node, run.short)]
    for to in dict.fromkeys((*hooks, *named_ones, *told, *around, *before)):
        if to is not run:
            run.edges.append(Edge(to, run.at(run.node), called=True))


def _told(classes: Classes, cls: Class, node: "Node") -> Iterator[Method]:
    """``around_perform :locked``, ``rescue_from Error, with: :report``."""
    if text(node.child_by_field_name("method")) in HOOKS:
        for one in named(node.child_by_field_name("arguments")):
            value = one.child_by_field_name("value") if one.type == "pair" else one
            name = string(value)
            method = classes.method(cls, name, singleton=False) if name else None
            if method is not None:
                yield method


def _prepended(classes: Classes, cls: Class, node: "Node", name: str) -> Iterator[Method]:
    """``prepend Counting``: its method of that name runs first."""
    if text(node.child_by_field_name("method")) == "prepend":
        for one in named(node.child_by_field_name("arguments")):
            module = classes.find(text(one), cls.name)
            if module is not None and name in module.methods:
                yield module.methods[name]


def _middleware(classes: Classes) -> Iterator[Method]:
    """``chain.add Counting`` in a block of ``server_middleware``: its ``call`` runs around every job."""
    for method in classes.units:
        for sent in method.calls:
            inside = block(sent.node) if sent.name.endswith(MIDDLEWARE) else None
            for node in walk(inside) if inside is not None else ():
                added = node.type == "call" and text(node.child_by_field_name("method")) in ADDS
                for one in named(node.child_by_field_name("arguments")) if added else ():
                    cls = classes.find(text(one), "") if one.type in CONSTANTS else None
                    called = classes.method(cls, "call", singleton=False) if cls is not None else None
                    if called is not None:
                        yield called


def _queue(classes: Classes, cls: Class) -> str:
    """The queue that the class, or what it inherits, names."""
    for one in (cls, *(above for above in classes.ancestors(cls) if isinstance(above, Class))):
        if RESQUE in one.held and (name := string(one.held[RESQUE][0])):
            return name
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
