"""Every command that any deployment file starts, whichever way of deployment is the one that counts."""

from collections.abc import Iterator

from kiqdoctor.probes.deployment.chosen import Running
from kiqdoctor.probes.deployment.commands import commands
from kiqdoctor.probes.deployment.derived import Derived
from kiqdoctor.probes.deployment.paths import stage
from kiqdoctor.probes.deployment.records import Started
from kiqdoctor.probes.deployment.scripts import followed
from kiqdoctor.probes.deployment.servers import SERVERS


def of_workers(found: Derived) -> tuple[tuple[str, str], ...]:
    """Files that could not be read and may speak of workers: a web server's own configuration does not."""
    return tuple(one for one in found.deployment.unreadable if not one[1].startswith(SERVERS))


def every_started(found: Derived) -> Iterator[Started]:
    """All but what is for trials by its path."""
    if found.found is not None:
        yield from (one for _, one in found.found.said if isinstance(one, Started) and stage(one.path))


def every_command(found: Derived) -> Iterator[Running]:
    """What each of them runs, each place once; the commands that run come with all that other files say of them."""
    seen = {(one.started.path, one.started.line, one.command.words) for one in found.running}
    yield from found.running
    for started in every_started(found):
        tree = found.found.tree if found.found is not None else None
        words = followed(started.words, tree) if tree is not None else started.words
        for command in commands(words):
            if (started.path, started.line, command.words) not in seen:
                seen.add((started.path, started.line, command.words))
                yield Running(command, started)
