"""Which of the application's classes are jobs: by mixin, by what they inherit, or by who hands them to a queue.

And what runs with each.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.ruby.calls import answers, kind
from kiqdoctor.probes.code.ruby.classes import Class, Classes, Known, Method, Sent
from kiqdoctor.probes.code.ruby.filling import DELAYING, HOOKS
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, arguments_of
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
    "Resque::Plugins::Status": "resque",
}
FOREIGN: Final = {"Job": "activejob", "Worker": "sidekiq"}
"""How classes of other packages are called that a job inherits from, as an engine's ``ApplicationJob``."""
RUNS: Final = ("perform", "each_iteration")
OTHERWISE: Final = {"sneakers": ("work", "work_with_params"), "que": ("run",)}
"""What runs, of libraries that call it something else."""
BESIDE: Final = ("build_enumerator", "each_iteration", *sorted(HOOKS))
"""Methods that a library calls around the job, where its class has them."""
OPTIONS: Final = frozenset({"sidekiq_options", "shoryuken_options"})
RESQUE: Final = "@queue"
RESQUES: Final = {
    "enqueue": 0,
    **dict.fromkeys(("enqueue_to", "enqueue_in", "enqueue_at"), 1),
    **dict.fromkeys(("enqueue_in_with_queue", "enqueue_at_with_queue"), 2),
}
"""Resque's verbs, and at which place each is given the class."""
DELAYED: Final = frozenset({"Delayed::Job", "Delayed::Worker", "Delayed"})
OWN_CLASS: Final = frozenset({"self.class", "class", "base_class", "self.class.base_class"})
REQUIRED: Final = frozenset({"identifier", "keyword_parameter", "destructured_parameter"})
MIDDLEWARE: Final = "server_middleware"
ADDS: Final = frozenset({"add", "prepend", "insert_before", "insert_after"})


@dataclass(frozen=True, slots=True)
class Registered:
    """A class whose method runs as a job; ``symbol``: what the job is called, where that is not the class."""

    cls: Class
    method: Method
    library: str
    queue: str = ""
    symbol: str = ""

    @property
    def name(self) -> str:
        """What the job is called."""
        return self.symbol or self.cls.name


def jobs(classes: Classes) -> Iterator[Registered]:
    """All of them; what runs around a job is an edge of what runs."""
    around = [*_middleware(classes)]
    queued = {cls.name: library for cls, library in _queued(classes)}
    delayed = delays(classes)
    for cls in classes.all.values():
        library = library_of(classes, cls) or queued.get(cls.name) or _by_habit(classes, cls, delayed=delayed)
        method = _run(classes, cls, library) if library else None
        if method is not None:
            _surround(classes, cls, method, around if library in {"sidekiq", "activejob"} else [])
            yield Registered(cls, method, library, _queue(classes, cls))
    for method in dict.fromkeys(later(classes)):
        if method.owner is not None:
            yield Registered(method.owner, method, "delayed_job" if delayed else "sidekiq", symbol=method.name)


def library_of(classes: Classes, cls: Class) -> str:
    """The library that makes jobs of such classes; "" for none. An application may add to a library's own class.

    What its own base class is called says less than what that mixes in: an ``ApplicationJob`` may be Sidekiq's.
    """
    outside = [above for above in classes.ancestors(cls) if isinstance(above, str)]
    own = (above.name for above in classes.ancestors(cls) if isinstance(above, Class))
    found = next((LIBRARIES[above] for above in (*outside, *own) if above in LIBRARIES), "")
    if found:
        return found
    if classes.singleton(cls, "perform") and (RESQUE in cls.held or classes.singleton(cls, "queue")):
        return "resque"
    foreign = (library for above in outside for end, library in FOREIGN.items() if above.endswith(end))
    return next(foreign, "") if "perform" in cls.methods else ""


def _queued(classes: Classes) -> Iterator[tuple[Class, str]]:
    """Classes that somebody hands to Resque, or an object of which to Delayed Job."""
    for method, sent in classes.queueing:
        head = sent.name.rpartition(".")[0]
        given = arguments_of(sent.node)
        place = RESQUES.get(sent.last) if head == "Resque" else 0 if head in DELAYED else None
        if place is None or len(given) <= place or given[place].type == "pair":
            continue
        known = _handed(classes, method, given[place])
        if known is not None and known.singleton == (head == "Resque"):
            yield known.cls, "resque" if head == "Resque" else "delayed_job"


def _handed(classes: Classes, method: Method, node: "Node") -> Known | None:
    if method.owner is not None and text(node) in OWN_CLASS:
        return Known(method.owner, singleton=True)
    return kind(classes, node, method)


def delays(classes: Classes) -> bool:
    """Whether anything speaks to Delayed Job."""
    return any(
        sent.last == "handle_asynchronously" or sent.name.rpartition(".")[0] in DELAYED for _, sent in classes.queueing
    ) or any(_configures(node) for method in classes.units if method.body for node in method.assignments)


def _configures(node: "Node") -> bool:
    """``Delayed::Worker.max_attempts = 4``."""
    left = node.child_by_field_name("left")
    return left is not None and left.type == "call" and text(left.child_by_field_name("receiver")) in DELAYED


def _by_habit(classes: Classes, cls: Class, *, delayed: bool) -> str:
    """A class that is called and lies as jobs do, of libraries that ask for no base class and no mixin."""
    called_so = cls.name.endswith("Job")
    own = cls.singletons.get("perform")
    if called_so and own is not None and any(sent.name.startswith("Resque.") for _, sent in classes.queueing):
        return "resque"
    method = classes.method(cls, "perform", singleton=False) if delayed else None
    if method is None or method.singleton or not (called_so or "jobs/" in method.path):
        return ""
    parameters = named(method.node.child_by_field_name("parameters"))
    takes = any(one.type in REQUIRED and one.child_by_field_name("value") is None for one in parameters)
    return "" if takes else "delayed_job"


def later(classes: Classes) -> Iterator[Method]:
    """Methods that run later because of how they are called: ``report.delay.send_out``."""
    for method, sent in classes.queueing:
        yield from (*later_by(classes, method, sent), *_declared(classes, method, sent))


def later_by(classes: Classes, method: Method, sent: Sent) -> list[Method]:
    """What this call has run later; nothing where ``delay`` is a method of the application's own."""
    delaying = sent.node.child_by_field_name("receiver")
    if delaying is None or delaying.type not in {"call", "identifier"}:
        return []
    word = text(delaying.child_by_field_name("method")) if delaying.type == "call" else text(delaying)
    asked = delaying.child_by_field_name("receiver") if delaying.type == "call" else None
    known = kind(classes, asked, method) if asked is not None else None
    if asked is None and method.owner is not None:
        known = Known(method.owner, method.singleton)
    if word not in DELAYING or known is None or classes.method(known.cls, word, singleton=known.singleton):
        return []
    return answers(classes, known, sent.last)


def _declared(classes: Classes, method: Method, sent: Sent) -> Iterator[Method]:
    """``handle_asynchronously :send_out``."""
    if sent.last != "handle_asynchronously" or not method.body:
        return
    name = string(next(iter(arguments_of(sent.node)), None))
    for cls in classes.all.values() if name else ():
        found = cls.methods.get(name or "") if any(node == sent.node for node, _ in cls.body) else None
        if found is not None:
            yield found


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
