"""What follows from all statements together: the facts, in one place."""

from collections.abc import Iterator, Sequence
from typing import Final

from kiqdoctor.doctor.facts.deployment import Deployment, Start, Starts
from kiqdoctor.probes.deployment.chosen import Running, chosen
from kiqdoctor.probes.deployment.formats import Rank
from kiqdoctor.probes.deployment.paths import Stage, stage
from kiqdoctor.probes.deployment.plans import clients
from kiqdoctor.probes.deployment.programs import Role
from kiqdoctor.probes.deployment.records import Ordered, Started
from kiqdoctor.probes.deployment.servers import SERVERS, server, unasked
from kiqdoctor.probes.deployment.statements import Statements, statements
from kiqdoctor.probes.deployment.workers import by_file, worker
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass

NO_FORK: Final = frozenset({"threads", "solo", "gevent", "eventlet"})
"""Celery's pools that do not fork."""


@dataclass(frozen=True, slots=True)
class Derived:
    """The facts, and what others are made of: the commands that run, and every statement."""

    deployment: Deployment
    starts: Starts
    running: tuple[Running, ...] = ()
    found: Statements | None = None


def derived(tree: Tree) -> Derived:
    """Both facts of one application; `Tree.once` makes them."""
    found = statements(tree)
    running = chosen(found)
    workers = tuple(one for command in running if (one := worker(command, found)) is not None)
    asked = [server(one, found) for one in running if one.command.program in SERVERS]
    servers = asked or unasked(found)
    plan = None if elsewhere(running, found) else _plan(found)
    surges = [one.started.surge for one in running if one.command.role is Role.WORKER and one.started.surge]
    return Derived(
        Deployment(
            workers=workers or by_file(found),
            webs=tuple(one.web() for one in (asked or servers[:1])),
            surge=bool(surges),
            surge_source=next(iter(surges), ""),
            unreadable=tuple(found.unreadable.items()),
            redis_clients=plan[0] if plan else None,
            redis_plan=plan[1] if plan else "",
        ),
        Starts((*_celery(running), *(start for one in servers for start in one.starts()))),
        tuple(running),
        found,
    )


def _plan(found: Statements) -> tuple[int, str] | None:
    """How many clients the Redis that is ordered takes, and who says so; the least of several."""
    ordered = [said for _, said in found.said if isinstance(said, Ordered) and stage(said.path)]
    known = [(number, one) for one in ordered if (number := clients(one.plan)) is not None]
    told = [(count, f"{one.plan} in {one.path}, table of {as_of}") for (count, as_of), one in known]
    return min(told, default=None)


def elsewhere(running: Sequence[Running], found: Statements) -> bool:
    """Whether what is ordered on a platform is not for these workers: for trials, or for those of a Procfile.

    A file for production starts them on no platform, or a Procfile has others than those that count.
    """
    workers = {one.started.path for one in running if one.command.role is Role.WORKER}
    types = {
        one.path
        for kind, one in found.said
        if kind.rank is Rank.PROCESS_TYPES and isinstance(one, Started) and one.words and stage(one.path)
    }
    counted = {one.started.path for one in running}
    return bool(workers) and (any(stage(path) is Stage.PRODUCTION for path in workers) or bool(types - counted))


def _celery(running: list[Running]) -> Iterator[Start]:
    for one in running:
        if one.command.program == "celery" and one.command.option("pool") not in NO_FORK:
            yield Start("celery prefork", one.started.path, one.started.line, forks=True)
