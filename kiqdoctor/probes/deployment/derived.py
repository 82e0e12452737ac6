"""What follows from all statements together: the facts, in one place."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kiqdoctor.doctor.facts.deployment import Deployment, Start, Starts
from kiqdoctor.probes.deployment.chosen import Running, chosen
from kiqdoctor.probes.deployment.programs import Role
from kiqdoctor.probes.deployment.servers import SERVERS, server, unasked
from kiqdoctor.probes.deployment.statements import statements
from kiqdoctor.probes.deployment.workers import by_file, worker
from kiqdoctor.probes.tree.tree import Tree

NO_FORK: Final = frozenset({"threads", "solo", "gevent", "eventlet"})
"""Celery's pools that do not fork."""


@dataclass(frozen=True, slots=True)
class Derived:
    """The facts."""

    deployment: Deployment
    starts: Starts


def derived(tree: Tree) -> Derived:
    """Both facts of one application; `Tree.once` makes them."""
    found = statements(tree)
    running = chosen(found)
    workers = tuple(one for command in running if (one := worker(command, found)) is not None)
    asked = [server(one, found) for one in running if one.command.program in SERVERS]
    servers = asked or unasked(found)
    surges = [one.started.surge for one in running if one.command.role is Role.WORKER and one.started.surge]
    return Derived(
        Deployment(
            workers=workers or by_file(found),
            webs=tuple(one.web() for one in (asked or servers[:1])),
            surge=bool(surges),
            surge_source=next(iter(surges), ""),
            unreadable=tuple(found.unreadable.items()),
        ),
        Starts((*_celery(running), *(start for one in servers for start in one.starts()))),
    )


def _celery(running: list[Running]) -> Iterator[Start]:
    for one in running:
        if one.command.program == "celery" and one.command.option("pool") not in NO_FORK:
            yield Start("celery prefork", one.started.path, one.started.line, forks=True)
