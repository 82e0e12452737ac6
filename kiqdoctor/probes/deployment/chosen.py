"""Which of the deployments that an application's files describe is the one that runs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final

from kiqdoctor.probes.deployment.commands import Command, commands
from kiqdoctor.probes.deployment.formats import Rank
from kiqdoctor.probes.deployment.programs import Role
from kiqdoctor.probes.deployment.records import EACH, PART, Started
from kiqdoctor.probes.deployment.statements import Statements

PRODUCTION: Final = frozenset({"production", "prod", "prd", "live"})
TRIALS: Final = frozenset(
    {"dev", "devel", "development", "devcontainer", "local", "test", "tests", "testing", "ci", "e2e", "debug", "qa"}
    | {"staging", "stage", "stg", "review", "preview", "sandbox", "example", "sample", "demo"}
)


class Stage(IntEnum):
    """What a file is for, as far as its path says."""

    TRIAL = 0
    ANY = 1
    PRODUCTION = 2


@dataclass(frozen=True, slots=True)
class Running:
    """A command that runs, with all that the files say about what starts it."""

    command: Command
    started: Started

    @property
    def replicas(self) -> int | None:
        """How many of it; None where no file says it."""
        return self.started.unsaid if self.started.replicas is None else self.started.replicas


def stage(path: str) -> Stage:
    """``docker-compose.prod.yml`` and ``overlays/production/`` are production; ``Procfile.dev`` is none."""
    words = set(re.split(r"[^a-z0-9]+", path.lower()))
    if words & PRODUCTION:
        return Stage.PRODUCTION
    return Stage.TRIAL if words & TRIALS else Stage.ANY


def chosen(statements: Statements) -> list[Running]:
    """The commands of the one way in which the application is deployed: the first that runs workers, or else all."""
    started = [(kind.rank, one) for kind, one in statements.said if kind.rank is not None and isinstance(one, Started)]
    ways = {rank: _running(one for other, one in started if other is rank) for rank in Rank}
    for way in ways.values():
        if any(one.command.role is Role.WORKER for one in way):
            return way
    return [one for way in ways.values() for one in way]


def _running(started: Iterable[Started]) -> list[Running]:
    """Files that speak of the same unit complete each other, the most particular last; trials are none of it."""
    units: dict[str, Started] = {}
    for one in sorted((one for one in started if stage(one.path)), key=_particular):
        parts = [] if one.words else [unit for unit in units if unit.startswith(f"{one.unit}{PART}")]
        for unit in parts or [one.unit]:
            units[unit] = _completed(units[unit], one) if unit in units else one
    each = units.pop(EACH, None)
    known = [one if each is None else _completed(each, one) for one in units.values()]
    return [Running(command, one) for one in known for command in commands(one.words)]


def _particular(one: Started) -> tuple[Stage, int, int]:
    """For production last; before that ``overlays/`` after its base, ``compose.override.yml`` after ``compose.yml``."""
    return stage(one.path), one.path.count("/"), len(one.path)


def _completed(known: Started, later: Started) -> Started:
    """Where the later file says something it wins; the place is where the command stands."""
    placed = later if later.words else known
    return replace(
        placed,
        words=later.words or known.words,
        replicas=known.replicas if later.replicas is None else later.replicas,
        environment=known.environment + later.environment,
        surge=later.surge or known.surge,
    )
