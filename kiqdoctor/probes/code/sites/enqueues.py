"""Where jobs are handed to queues, in the verbs of every library that is indexed."""

import ast
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Argument, Encoding, Enqueue, Enqueues, Shape, When
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.python.frameworks import QUEUES, SCHEDULES
from kiqdoctor.probes.code.python.registering import handed
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.spans import Position, Span, within
from kiqdoctor.probes.deployment.paths import stage
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.text import SHORT

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method, Sent

VERBS: Final = {
    "perform_async": When.NOW,
    "perform_in": When.LATER,
    "perform_at": When.LATER,
    "perform_bulk": When.BULK,
    "delay": When.NOW,
    "apply_async": When.NOW,
    "send": When.NOW,
    "send_with_options": When.NOW,
    "kiq": When.NOW,
    "enqueue": When.NOW,
    "aenqueue": When.NOW,
    "schedule": When.LATER,
    "delay_on_commit": When.NOW,
    "apply_async_on_commit": When.NOW,
    "defer": When.NOW,
    "defer_async": When.NOW,
    "batch_defer": When.BULK,
    "batch_defer_async": When.BULK,
}
"""Of Python's libraries; what they are verbs of must be a job."""
RUBY: Final = {
    "perform_async": When.NOW,
    "perform_in": When.LATER,
    "perform_at": When.LATER,
    "perform_bulk": When.BULK,
    "perform_later": When.NOW,
    "push_bulk": When.BULK,
}
"""Words that nothing else in Ruby has."""
CLIENT: Final = "Sidekiq::Client"
DELIVER: Final = "deliver_later"  # of Action Mailer, by Active Job
WAITS: Final = frozenset({"wait", "wait_until"})
DELAYS: Final = frozenset({"countdown", "eta", "delay"})
CANVAS: Final = frozenset(f"celery.{room}{name}" for room in ("", "canvas.") for name in ("chain", "group", "chord"))
NAMED: Final = frozenset({"send_task", "enqueue_job"})
"""Verbs that take a job by its name."""
HANDED: Final = frozenset(f"django_q.{room}async_task" for room in ("", "tasks."))
"""Calls of Python that are handed a function first."""
STRICT: Final = "Sidekiq.strict_args!"
LENIENT: Final = (["false"], [":warn"])
HOOK: Final = "on_commit"
WITHIN: Final = "procrastinate.contrib.django"
"""Whose jobs are rows of the same database, written in the same transaction."""
ON_COMMIT: Final = "kiqdoctor.enqueue_on_commit"


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def enqueues(tree: Tree) -> Enqueues:
    """All of them, what each hands on, and whether it waits for the commit."""
    from kiqdoctor.probes.code.index import indexed

    return Enqueues(*sites(tree, partial(_python, tree), _ruby), lenient=_lenient(indexed(tree)))


class _Encodings:
    """How each library's queues write, asked once of an application."""

    def __init__(self, _: Tree) -> None:
        self.known: dict[str, Encoding] | None = None

    def of(self, index: "Index", job: str, function: "Function", call: ast.Call) -> Encoding:
        from kiqdoctor.probes.code.python.encodings import encodings, of_queue

        if self.known is None:
            self.known = encodings(index.names)
        symbol = index.symbols.get(job)
        if symbol is None:
            return Encoding.UNKNOWN
        own = of_queue(index.names, function, call.func.value) if isinstance(call.func, ast.Attribute) else None
        return own or self.known.get(symbol.library, Encoding.UNKNOWN)


def _python(tree: Tree, index: "Index", function: "Function") -> Iterator[Enqueue]:
    from kiqdoctor.probes.code.python.values import given as handed_on

    hooks = [function.span(call) for call, dotted in function.calls if _is_hook(index, call, dotted)]
    for call, dotted in function.calls:
        found = _enqueued(index, function, call, dotted)
        if found is not None:
            job, verb = found
            at = function.at(call)
            given = index.names.arguments(function, call)
            after = verb.endswith(HOOK) or _waits(index, job) or _hooked(function, at, hooks)
            values = handed_on(index.names, function, call, verb)
            encoding = tree.once(_Encodings).of(index, job, function, call)
            yield Enqueue(function.number, *at, job, verb, _when(verb, given), given, after, values, encoding)
    for load, dotted in function.loads if hooks else ():
        job, verb = _job_and_verb(index, index.names.resolved(dotted))
        if job and any(within(function.at(load), hook) for hook in hooks):
            yield Enqueue(function.number, *function.at(load), job, verb, VERBS[verb], after_commit=True)


def _waits(index: "Index", job: str) -> bool:
    """Whether whatever enqueues this job waits for the commit: Huey's ``on_commit_task``, a queue in the database."""
    symbol = index.symbols.get(job)
    if symbol is None:
        return False
    function = symbol.function
    where = function.outer or function.module.body
    made = [index.names.spelt(one.func if isinstance(one, ast.Call) else one, where) for one in function.decorators]
    return any(one.endswith(".on_commit_task") or one.startswith(WITHIN) for one in made)


def _is_hook(index: "Index", call: ast.Call, dotted: str) -> bool:
    name = index.names.resolved(dotted) or getattr(call.func, "attr", "")
    return name.rpartition(".")[2] == HOOK


def _hooked(function: "Function", at: Position, hooks: list[Span]) -> bool:
    """In a lambda that a commit hook is given; what is called among the hook's arguments is called at once."""
    return any(within(at, hook) and not function.runs(at, hook) for hook in hooks)


def _enqueued(index: "Index", function: "Function", call: ast.Call, dotted: str) -> tuple[str, str] | None:
    """Job and verb of a call; None where it enqueues nothing that is known."""
    name = index.names.resolved(dotted)
    for one in index.names.steps(dotted):
        job, verb = _job_and_verb(index, one)
        if job:
            return job, verb
    if (of := _of_canvas(index, function, call, name)) is not None:
        return of
    called = index.symbols.get(name)
    if called is not None and called.library == "huey":
        return called.symbol, ""
    last = name.rpartition(".")[2] or getattr(call.func, "attr", "")
    first = call.args[0] if call.args else None
    if last in NAMED and isinstance(first, ast.Constant) and isinstance(first.value, str):
        return first.value[:SHORT], last
    queued = handed(call, dotted) if index.names.imports(*QUEUES) and not index.names.own(name) else None
    given = first if name == ON_COMMIT or name in HANDED else queued
    if given is None:
        return None
    name = str(given.value) if isinstance(given, ast.Constant) else index.names.spelt(given, function)
    symbol = index.symbol(name)
    return (symbol.symbol, last) if symbol is not None else None


def _of_canvas(index: "Index", function: "Function", call: ast.Call, name: str) -> tuple[str, str] | None:
    """Celery's ``chain(a.s(), b.s()).delay()``, ``group(...)``, ``chord(...)(...)`` and ``(a.s() | b.s()).delay()``."""
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr not in {"delay", "apply_async"}:
        return None
    made, where = index.names.valued(function, func.value)
    if not (isinstance(made, ast.BinOp) or name.partition("()")[0] in CANVAS):
        return None
    for node in ast.walk(made):
        if isinstance(node, ast.Call):
            symbol = index.symbol(index.names.spelt(node.func, where).rpartition(".")[0])
            if symbol is not None and symbol.library == "celery":
                return symbol.symbol, func.attr
    return None


def _job_and_verb(index: "Index", name: str) -> tuple[str, str]:
    head, _, verb = name.rpartition(".")
    symbol = index.symbol(head) if verb in VERBS else None
    return (symbol.symbol, verb) if symbol is not None else ("", "")


def _when(verb: str, given: tuple[Argument, ...]) -> When:
    if verb in SCHEDULES:
        return When.LATER if SCHEDULES[verb] else When.NOW
    usual = VERBS.get(verb, When.NOW)
    delayed = any(one.name in DELAYS and one.shape is not Shape.NONE and one.text not in {"0", "0.0"} for one in given)
    return When.LATER if delayed and usual is When.NOW else usual


def _ruby(index: "Index", method: "Method") -> Iterator[Enqueue]:
    from kiqdoctor.probes.code.ruby.values import given, pushed

    for sent in method.calls:
        node = sent.node
        head, _, verb = sent.name.rpartition(".")
        if verb in RUBY or (verb == DELIVER and _is_mailer(index, method, head.partition(".")[0])):
            job = head.partition(".")[0] if head != CLIENT else pushed(node)
        elif head == CLIENT and verb == "push":
            job = pushed(node)
        else:
            yield from _handed(index, method, sent)
            continue
        later = (head.endswith(".set") and _has_delay(node)) or any(one.name in WAITS for one in sent.arguments)
        when = When.LATER if later else RUBY.get(verb, When.NOW)
        if verb == "perform_in" and [one.text for one in sent.arguments][:1] == ["0"]:
            when = When.NOW
        after = any(within(method.at(node), span) for span in method.committed)
        own = _named(index, method, job)
        values = given(index.classes, method, node, verb, _runs(index, own))
        encoding = Encoding.ACTIVE_JOB if verb in {"perform_later", DELIVER} else _written(index, own)
        yield Enqueue(method.number, *method.at(node), own, verb, when, sent.arguments, after, values, encoding)


def _handed(index: "Index", method: "Method", sent: "Sent") -> Iterator[Enqueue]:
    """``Resque.enqueue(Report, id)``, and Sidekiq's ``report.delay.send_out`` of old; how those write is not judged."""
    from kiqdoctor.probes.code.ruby.jobs import RESQUES, later_by
    from kiqdoctor.probes.code.ruby.naming import CONSTANTS
    from kiqdoctor.probes.tree.ruby import named, text

    head, _, verb = sent.name.rpartition(".")
    given = named(sent.node.child_by_field_name("arguments"))
    job, when = None, When.NOW
    if head == "Resque" and verb in RESQUES and len(given) > RESQUES[verb]:
        handed = given[RESQUES[verb]]
        job = _named(index, method, text(handed) if handed.type in {*CONSTANTS, "self"} else "?")
        when = When.LATER if verb.startswith(("enqueue_in", "enqueue_at")) else When.NOW
    elif not _delays(index) and (found := later_by(index.classes, method, sent)):
        job, verb = found[0].name, head.rpartition(".")[2]
        when = When.NOW if verb == "delay" else When.LATER
    if job is not None:
        at = method.at(sent.node)
        after = any(within(at, span) for span in method.committed)
        yield Enqueue(method.number, *at, job, verb, when, sent.arguments, after, (), Encoding.UNKNOWN)


def _delays(index: "Index") -> bool:
    """Whether ``delay`` is Delayed Job's, whose rows are written by the transaction itself."""
    return index.tree_wide(_delayed_job)


def _delayed_job(index: "Index") -> bool:
    from kiqdoctor.probes.code.ruby.jobs import delays

    return delays(index.classes)


def _lenient(index: "Index") -> str:
    """Where Sidekiq's strict arguments are turned off, whatever the environment is; "" for nowhere."""
    for method in index.classes.units:
        for sent in method.calls if stage(method.path) else ():
            if sent.name == STRICT and [one.text for one in sent.arguments] in LENIENT and not _is_chosen(sent.node):
                return f"{method.path}:{method.at(sent.node)[0]}"
    return ""


def _is_chosen(node: "Node") -> bool:
    """Whether a condition stands around it."""
    from kiqdoctor.probes.code.ruby.booting import CONDITIONS

    above = node.parent
    while above is not None and above.type not in CONDITIONS:
        above = above.parent
    return above is not None


def _has_delay(node: "Node") -> bool:
    from kiqdoctor.probes.code.ruby.arguments import arguments

    receiver = node.child_by_field_name("receiver")
    return receiver is not None and any(one.name in WAITS for one in arguments(receiver))


def _is_mailer(index: "Index", method: "Method", name: str) -> bool:
    """Whether a class sends mail; one that nobody defines is believed by its name."""
    cls = index.classes.find(name, method.owner.name if method.owner is not None else "")
    above = index.classes.ancestors(cls) if cls is not None else (name,)
    return any(str(getattr(one, "name", one)).endswith(("Mailer", "ActionMailer::Base")) for one in above)


def _named(index: "Index", method: "Method", job: str) -> str:
    """The class as it is indexed; ``self`` and a bare verb are the class in which they stand, "" is any object."""
    inside = method.owner.name if method.owner is not None else ""
    if job in {"", "self", "?"}:
        return "" if job == "?" else inside
    own = index.classes.find(job, inside)
    return own.name if own is not None else job


def _runs(index: "Index", job: str) -> "Method | None":
    cls = index.classes.find(job, "") if job else None
    return index.classes.method(cls, "perform", singleton=False) if cls is not None else None


def _written(index: "Index", job: str) -> Encoding:
    """Sidekiq writes JSON; other libraries with its verbs (SuckerPunch) may write nothing."""
    from kiqdoctor.probes.code.ruby.jobs import library_of

    cls = index.classes.find(job, "") if job else None
    sidekiq = cls is None or library_of(index.classes, cls) in {"sidekiq", "activejob"}
    return Encoding.JSON if sidekiq else Encoding.UNKNOWN
