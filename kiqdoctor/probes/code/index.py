"""The application's code, indexed once for an examination, whoever asks: both languages and the table of functions."""

import threading
from collections.abc import Callable
from dataclasses import field
from typing import Final

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.facts.code import Code, Job
from kiqdoctor.doctor.probe import AbsenceError, RefusalError
from kiqdoctor.probes.code.graph import Unit, numbered
from kiqdoctor.probes.code.python import booting
from kiqdoctor.probes.code.python import jobs as in_python
from kiqdoctor.probes.code.python.aside import aside as templates
from kiqdoctor.probes.code.python.calls import edges as python_edges
from kiqdoctor.probes.code.python.names import Names, beginnings
from kiqdoctor.probes.code.python.reading import names_of
from kiqdoctor.probes.code.python.registered import Registered
from kiqdoctor.probes.code.ruby import jobs as in_ruby
from kiqdoctor.probes.code.ruby.aside import aside
from kiqdoctor.probes.code.ruby.calls import edges as ruby_edges
from kiqdoctor.probes.code.ruby.classes import Classes
from kiqdoctor.probes.code.ruby.filling import classes_of
from kiqdoctor.probes.code.ruby.received import received, received_edges
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass

WHOLE: Final = "."
PATIENCE: Final = 55.0  # seconds that others wait for who makes it: less than their own deadline


@dataclass(frozen=True, eq=False, slots=True)
class Index:
    """What readers of sites walk. ``units``: as ``code.functions``, by number; ``symbols``: Python's jobs by name.

    ``held``: those that were made by a call, by the global that holds what it returned.
    """

    code: Code
    units: list[Unit]
    names: Names
    classes: Classes
    symbols: dict[str, Registered]
    held: dict[str, Registered]
    _told: dict[Callable[["Index"], bool], bool] = field(default_factory=dict)

    def tree_wide(self, question: Callable[["Index"], bool]) -> bool:
        """What is true of the whole application, asked once."""
        if question not in self._told:
            self._told[question] = question(self)
        return self._told[question]

    def symbol(self, name: str) -> Registered | None:
        """The job that a name in Python begins with: ``shop.mail.send`` of ``shop.mail.send.s().delay``."""
        known = (self.symbols.get(one) or self.held.get(one) for one in beginnings(name.replace("()", "")))
        return next(filter(None, known), None)


def indexed(tree: Tree) -> Index:
    """The index of this application.

    Raises:
        AbsenceError: it has no source.
        RefusalError: somebody else has been making it for too long, or the folder could not be read.
    """
    found = tree.once(_Making).index(tree)
    if not found.code.files and not found.code.unparsed:
        unread = next((reason for path, reason in tree.refused if path == WHOLE), "")
        if unread:
            raise RefusalError(f"the application's folder could not be read: {unread}", "permission to read PATH")
        raise AbsenceError("the application has no Python or Ruby source")
    return found


class _Making:
    """One index on its way. Of those who ask meanwhile none waits longer than ``PATIENCE`` from its beginning."""

    def __init__(self, _: Tree) -> None:
        self._lock = threading.Lock()
        self._began: float | None = None
        self._made: Index | None = None

    def index(self, tree: Tree) -> Index:
        began = SYSTEM.monotonic() if self._began is None else self._began
        if not self._lock.acquire(timeout=max(0.0, began + PATIENCE - SYSTEM.monotonic())):
            raise RefusalError("the application's source was not read in time", "a smaller PATH")
        try:
            if self._made is None:
                self._began = SYSTEM.monotonic()
                self._made = _index(tree)
            return self._made
        finally:
            self._lock.release()


def _index(tree: Tree) -> Index:
    names, unparsed = names_of(tree)
    booting.part(names)
    classes, broken = classes_of(tree)
    data = [*templates(tree, unparsed), *aside(tree, broken)]
    symbols = {one.symbol: one for one in in_python.jobs(names)}
    performed = [*in_ruby.jobs(classes)]
    for function in names.units:
        function.edges += python_edges(names, function)
    told = received(classes, performed)
    for method in classes.units:
        method.edges += received_edges(classes, method, told[method]) if method in told else ruby_edges(classes, method)
    begin: list[Unit] = [*(one.function for one in symbols.values()), *(one.method for one in performed)]
    order = numbered([*names.units, *classes.units], begin)
    jobs = [
        *(
            Job(one.symbol, one.function.number, one.library, one.queue, one.function.is_coroutine)
            for one in symbols.values()
        ),
        *(Job(one.name, one.method.number, one.library, one.queue) for one in performed),
    ]
    code = Code(
        functions=tuple(unit.fact() for unit in order.units),
        reached=order.reached,
        jobs=tuple(jobs),
        files=len(names.modules) + sum(method.body for method in classes.units),
        unparsed=tuple(one for one in (*unparsed, *broken) if one not in data),
        aside=tuple(data),
        lines=sum(module.lines for module in names.modules) + classes.lines,
        beyond=order.beyond,
        unfollowed=sum(unit.unfollowed for unit in order.units[: order.reached]),
    )
    held = {one.held: one for one in symbols.values() if one.held}
    return Index(code, order.units, names, classes, symbols, held)
