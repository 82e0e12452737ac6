"""Files of periodic jobs: sidekiq-cron's schedule.yml, and sidekiq-scheduler's section of sidekiq.yml."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.deployment import ScheduleFile, Schedules
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.documents import Table, Value
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.text import clean

CRON: Final = "sidekiq-cron"
SCHEDULER: Final = "sidekiq-scheduler"


@probe(Read("config/schedule.yml, config/sidekiq.yml", "", "two files"), lane=Lane.FILES, deadline_s=30.0)
def schedules(tree: Tree) -> Schedules:
    """What the application would register when its workers start."""
    found = [ScheduleFile(file.path, CRON, _names(_read(file))) for file in tree.named("config/schedule.y*ml")]
    for file in tree.named("config/sidekiq.yml", "config/sidekiq_scheduler.yml"):
        words = _words(_read(file))
        inner = _words(words.get("scheduler"))
        found.append(ScheduleFile(file.path, SCHEDULER, _names(inner.get("schedule") or words.get("schedule"))))
    return Schedules(tuple(one for one in found if one.entries))


def _read(file: File) -> Value:
    try:
        documents = file.yaml()
    except (UnparsedError, UnreadableError):
        return None
    return documents[0] if documents else None


def _words(value: Value) -> Table:
    found = value if isinstance(value, Table) else Table()
    return Table({key.lstrip(":"): one for key, one in found.items()}, found.line)


def _names(value: Value) -> tuple[str, ...]:
    """The names of entries that have a cron line or an interval, by mapping or by list."""
    return tuple(clean(name) for name, words in _entries(value) if {"cron", "every", "interval"} & set(_words(words)))


def _entries(value: Value) -> Iterator[tuple[str, Value]]:
    if isinstance(value, Table):
        yield from value.items()
    elif isinstance(value, list):
        yield from ((one.text("name"), one) for one in value if isinstance(one, Table))
