"""Sidekiq's own files and the commands that start workers, as they are written."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import QueueLine, Setting, WorkerCommand, WorkerFile, WorkerSettings
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.config.capsules import capsules, queue_line
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.probes.deployment.derived import Derived
    from kiqdoctor.probes.deployment.records import Ending
    from kiqdoctor.probes.tree.documents import Table, Value
    from kiqdoctor.probes.tree.file import File

FILES: Final = ("config/sidekiq.yml", "config/sidekiq.yml.erb", "config/sidekiq_*.yml", "config/sidekiq-*.yml")
DEEPEST: Final = 3  # levels of keys that are told
MOST: Final = 2_000  # keys and queues of one file that are told
BRANCHES: Final = regex(r"<%(?![=#])-?\s*(?:if|unless|case|else|elsif|when|\S[^%]*\bdo\b)")


@probe(
    Read("config/sidekiq*.yml, and the files that worker commands name", "", "up to 1 MB each"),
    Read("the files that tell how it is deployed", "", "read once with them"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def worker_settings(tree: Tree) -> WorkerSettings:
    """Files and commands that say how workers run."""
    from kiqdoctor.probes.deployment.derived import derived

    commands = tuple(_commands(tree.once(derived)))
    paths = {value: None for one in commands for name, value in one.options if name == "config"}
    named = [file for path in paths for file in tree.named(path, path.lstrip("/").partition("/")[2]) if path]
    files = {file.path: _file(file) for file in (*tree.named(*FILES), *named)}
    told = tuple(one for one in files.values() if one.path in paths or _is_sidekiq(one))
    initialized = {file.path: [*capsules(file)] for file in tree.named("config/**/*.rb")}
    queues = [one for found in initialized.values() for one in found if isinstance(one, QueueLine)]
    threads = {path: tuple(one for one in found if isinstance(one, Setting)) for path, found in initialized.items()}
    told += tuple(WorkerFile(path, found[:MOST]) for path, found in threads.items() if found)
    if not told and not commands and not queues:
        raise AbsenceError("no file of the application configures or starts workers")
    return WorkerSettings(told, commands, tuple(queues[:MOST]))


def _is_sidekiq(one: WorkerFile) -> bool:
    """A schedule of a plug-in lies beside it, and is none of it."""
    plain = one.path in FILES
    return plain or any(setting.key.rpartition(".")[2] in {"queues", "concurrency"} for setting in one.settings)


def _commands(found: "Derived") -> Iterator[WorkerCommand]:
    from kiqdoctor.probes.deployment.every import every_command

    for one in every_command(found):
        if one.command.program in {"sidekiq", "sidekiqswarm", "kiqdoctor"}:
            yield WorkerCommand(
                one.started.path,
                one.started.line,
                one.command.program,
                tuple((name, clean(value)) for name, value in one.command.options),
                tuple(clean(word) for word in one.command.words[:100]),
                one.started.cores,
                one.command.shell,
                one.started.trial,
                _hooked(one.started.ending),
            )


def _hooked(ending: "Ending | None") -> tuple[tuple[str, str, int], ...]:
    """What of the past a hook does before TERM comes: the word, the file, the line."""
    from kiqdoctor.probes.config.scripts import of_the_past

    words = of_the_past(ending.hook) if ending is not None else ()
    return tuple((word, ending.hook_path, ending.hook_line) for word in words if ending is not None)


def _file(file: "File") -> WorkerFile:
    from kiqdoctor.probes.tree.documents import Table

    try:
        text = file.text()
        documents = file.yaml()
    except UnparsedError as error:
        return WorkerFile(file.path, problem=str(error), problem_line=error.line, branches=_embeds(file))
    except UnreadableError as error:
        return WorkerFile(file.path, problem=str(error), branches=True)
    document = documents[0] if documents else None
    branches = bool(BRANCHES.search(text))
    if document is not None and not isinstance(document, Table):
        return WorkerFile(file.path, problem="it holds no mapping of keys to values", problem_line=1, branches=branches)
    table = document if isinstance(document, Table) else Table()
    return WorkerFile(file.path, tuple(_settings(table, "", 0))[:MOST], tuple(_queues(table, ""))[:MOST], branches)


def _embeds(file: "File") -> bool:
    return b"<%" in file.content()


def _settings(table: "Table", above: str, depth: int) -> Iterator[Setting]:
    from kiqdoctor.probes.tree.documents import Table

    for name, value in table.items():
        key = f"{above}{clean(name.lstrip(':'))}"
        yield Setting(key, table.lines.get(name, table.line), *_kind(value))
        if isinstance(value, Table) and depth < DEEPEST:
            yield from _settings(value, f"{key}.", depth + 1)


def _kind(value: "Value") -> tuple[str, str]:
    """The kind of a value; of numbers also the value, of texts none, which may be secrets."""
    from kiqdoctor.probes.deployment.amounts import of_value
    from kiqdoctor.probes.tree import erb
    from kiqdoctor.probes.tree.documents import Table

    if isinstance(value, bool):
        return "flag", str(value).lower()
    if isinstance(value, int | float):
        return "number", str(value)
    if isinstance(value, list | Table):
        return ("list" if isinstance(value, list) else "table"), str(len(value))
    if value is None:
        return "none", ""
    amount = of_value(value)
    if erb.expression(value) is not None or "<%" in value:
        return "computed", str(amount.number) if amount is not None and amount.number is not None else ""
    return ("number", str(amount.number)) if amount is not None else ("text", _negative(value))


def _negative(value: str) -> str:
    """A number below zero is none that can be meant, and told as it is."""
    return value if re.fullmatch(r"-\d{1,6}", value) else ""


def _queues(table: "Table", within: str) -> Iterator[QueueLine]:
    from kiqdoctor.probes.tree.documents import Table

    for name, value in table.items():
        plain, line = name.lstrip(":"), table.lines.get(name, table.line)
        if plain == "queues":
            pairs = list(value.items()) if isinstance(value, Table) else value if isinstance(value, list) else []
            lined = [
                queue_line(pair, table.line_of(name, at) if isinstance(value, list) else line, within)
                for at, pair in enumerate(pairs)
            ]
            yield from (one for one in lined if one is not None)
        elif isinstance(value, Table) and within.count(".") < DEEPEST:
            yield from _queues(value, f"{within}.{clean(plain)}".lstrip("."))
