"""How workers are ended, and how long they were told to wait for their jobs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import Stop, Stops
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.deployment.chosen import Running
    from kiqdoctor.probes.deployment.derived import Derived
    from kiqdoctor.probes.deployment.records import Ending

OURS: Final = frozenset({"sidekiq", "sidekiqswarm", "kiqdoctor"})
HEROKU: Final = "app.json"


@probe(Read("the files that tell how it is deployed", "", "read once with them"), lane=Lane.FILES, deadline_s=30.0)
def stops(tree: Tree) -> Stops:
    """Each worker's own time-out, and the time that its platform gives it."""
    from kiqdoctor.probes.deployment.derived import derived
    from kiqdoctor.probes.deployment.every import of_workers

    found = tree.once(derived)
    heroku = tree.file(HEROKU) is not None
    told = tuple(_stop(one, found, heroku=heroku) for one in found.running if one.command.program in OURS)
    unreadable = of_workers(found)
    if not told and not unreadable:
        raise AbsenceError("no file of the application starts workers")
    return Stops(told, unreadable)


def _stop(one: "Running", found: "Derived", *, heroku: bool) -> Stop:
    ending = one.started.ending
    timeout = next(iter(_timeouts(one, found)), (None, ""))
    return Stop(
        one.started.path,
        one.started.line,
        one.command.program,
        platform=_platform(one, ending, heroku=heroku),
        timeout_s=timeout[0],
        timeout_at=timeout[1],
        grace_s=ending.grace_s if ending else None,
        grace_path=ending.path if ending else one.started.path,
        grace_line=ending.line if ending else one.started.line,
        untold=ending is not None and ending.untold,
        before_s=ending.before_s if ending else 0.0,
        signal=ending.signal if ending else "",
        mode=ending.mode if ending else "",
        shell=one.command.shell and not (ending and ending.init) and not _has_init(one.started.words),
        trial=one.started.trial,
    )


def _platform(one: "Running", ending: "Ending | None", *, heroku: bool) -> str:
    from kiqdoctor.probes.deployment.dockerfile import is_dockerfile

    if ending is not None:
        return ending.platform
    if is_dockerfile(one.started.path):
        return "docker"
    return "heroku" if heroku else ""


def _has_init(words: tuple[str, ...]) -> bool:
    """Something that passes signals on runs before the shell."""
    return any(word.rpartition("/")[2] in {"tini", "dumb-init", "catatonit", "s6-svscan", "init"} for word in words[:3])


def _timeouts(one: "Running", found: "Derived") -> Iterator[tuple[float | None, str]]:
    """What the command says, else its file."""
    from kiqdoctor.probes.deployment.commands import environment_of
    from kiqdoctor.probes.deployment.workers import settings

    known = environment_of(one.started.environment, one.command.environment)
    asked = one.command.amount("timeout")
    if asked is not None:
        yield asked.given(known), f"{one.started.path}:{one.started.line}"
    file = settings(one, found.found) if found.found is not None and one.command.program != "kiqdoctor" else None
    if file is not None and file.timeout is not None:
        yield file.timeout.given(known), file.path
