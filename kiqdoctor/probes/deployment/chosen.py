"""Which of the deployments that an application's files describe is the one that runs."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from kiqdoctor.probes.deployment.commands import Command, commands
from kiqdoctor.probes.deployment.compose import compose
from kiqdoctor.probes.deployment.formats import Rank
from kiqdoctor.probes.deployment.paths import Stage, stage
from kiqdoctor.probes.deployment.programs import Role
from kiqdoctor.probes.deployment.records import EACH, PART, Ending, Started
from kiqdoctor.probes.deployment.scripts import followed
from kiqdoctor.probes.deployment.statements import Statements
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.records import dataclass

DEEPEST: Final = 5  # services that extend each other


@dataclass(frozen=True, slots=True)
class Running:
    """A command that runs, with all that the files say about what starts it."""

    command: Command
    started: Started

    @property
    def replicas(self) -> int | None:
        """How many of it; None where no file says it."""
        return self.started.unsaid if self.started.replicas is None else self.started.replicas


def chosen(statements: Statements) -> list[Running]:
    """The commands of the one way in which the application is deployed: the first that runs workers, or else all."""
    started = [(kind.rank, one) for kind, one in statements.said if kind.rank is not None and isinstance(one, Started)]
    ways = {rank: _running((one for other, one in started if other is rank), statements.tree) for rank in Rank}
    for way in ways.values():
        if any(one.command.role is Role.WORKER for one in way):
            return way
    return [one for way in ways.values() for one in way]


def _running(started: Iterable[Started], tree: Tree) -> list[Running]:
    """Files that speak of the same unit complete each other, the most particular last; trials are none of it."""
    units: dict[str, Started] = {}
    for one in sorted((_extended(one, tree) for one in started if stage(one.path)), key=_particular):
        parts = [] if one.words else [unit for unit in units if unit.startswith(f"{one.unit}{PART}")]
        for unit in parts or [one.unit]:
            units[unit] = _completed(units[unit], one) if unit in units else one
    each = units.pop(EACH, None)
    known = [one if each is None else _completed(each, one) for one in units.values()]
    return [Running(command, one) for one in known for command in commands(followed(one.words, tree))]


def _extended(one: Started, tree: Tree, depth: int = 0) -> Started:
    """With what it extends below it; where that cannot be read, nobody knows how it ends unless it says so itself."""
    if one.extends is None:
        return one
    path, unit = one.extends
    file = tree.file(path)
    try:
        said = list(compose.parse(file)) if file is not None and depth < DEEPEST else []
    except (UnreadableError, UnparsedError):
        said = []
    for base in said:
        if isinstance(base, Started) and base.unit == unit:
            return _completed(_extended(base, tree, depth + 1), one)
    told = one.ending is not None and one.ending.grace_s is not None
    return one if told else replace(one, ending=None)


def _particular(one: Started) -> tuple[Stage, int, int]:
    """For production last; before that ``overlays/`` after its base, ``compose.override.yml`` after ``compose.yml``."""
    return stage(one.path), one.path.count("/"), len(one.path)


def _ended(known: Ending | None, later: Ending | None, *, reset: bool = False) -> Ending | None:
    """What a later file says of the end; what it does not say stays, unless it is reset."""
    if known is None or later is None:
        return later or known
    told = later if later.grace_s is not None or later.untold or reset else known
    hooked = later if later.hook or later.before_s else known
    return replace(
        told,
        before_s=hooked.before_s,
        signal=later.signal or known.signal,
        mode=later.mode or known.mode,
        init=later.init or known.init,
        hook=hooked.hook,
        hook_path=hooked.hook_path,
        hook_line=hooked.hook_line,
    )


def _completed(known: Started, later: Started) -> Started:
    """Where the later file says something it wins; the place is where the command stands."""
    placed = later if later.words else known
    command = () if later.resets & {"command", "entrypoint"} else known.words
    before = None if later.resets & {"replicas", "scale", "deploy"} else known.replicas
    return replace(
        placed,
        words=later.words or command,
        replicas=before if later.replicas is None else later.replicas,
        environment=(() if "environment" in later.resets else known.environment) + later.environment,
        surge=later.surge or known.surge,
        ending=_ended(known.ending, later.ending, reset="stop_grace_period" in later.resets),
        trial="" if stage(later.path) is Stage.PRODUCTION else known.trial or later.trial,
        cores=known.cores if later.cores is None else later.cores,
        further=known.further + later.further,
        closed=known.closed and later.closed,
    )
