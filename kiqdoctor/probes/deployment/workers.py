"""Workers whose threads share Redis with the rest: Sidekiq and our own, as their commands and files say."""

from collections.abc import Mapping
from dataclasses import replace

from kiqdoctor.doctor.facts.deployment import WorkerConfig
from kiqdoctor.probes.deployment.amounts import MOST, Amount, count
from kiqdoctor.probes.deployment.chosen import Running
from kiqdoctor.probes.deployment.commands import environment_of
from kiqdoctor.probes.deployment.records import InCode, Record, WorkerFile
from kiqdoctor.probes.deployment.sidekiq_yml import queue
from kiqdoctor.probes.deployment.statements import Statements

STAGES = ("APP_ENV", "RAILS_ENV", "RACK_ENV")  # as Sidekiq asks for the name of its environment
THREADS = "RAILS_MAX_THREADS"  # where neither command nor file says it
SWARM = "SIDEKIQ_COUNT"


def worker(one: Running, statements: Statements) -> WorkerConfig | None:
    """One command's processes; None for a program that is no concern of Sidekiq's Redis."""
    command = one.command
    known = environment_of(one.started.environment, command.environment)
    queues = tuple(name for text in command.every("queue") if (name := queue(text)))
    asked = _given(command.amount("concurrency"), known)
    if command.program == "kiqdoctor":
        return WorkerConfig(
            one.started.path, one.started.line, asked, (), queues, processes=one.replicas, language="python"
        )
    if command.program not in {"sidekiq", "sidekiqswarm"}:
        return None
    file = settings(one, statements)
    config = _configured(file, statements, known)
    return replace(
        config,
        path=one.started.path,
        line=one.started.line,
        concurrency=_in_code(statements, known) or asked or config.concurrency or count(known.get(THREADS)),
        queues=queues or config.queues,
        processes=_processes(one, known),
    )


def settings(one: Running, statements: Statements) -> WorkerFile | None:
    """Sidekiq's own file as a command reads it: the one that it names, with the section of its environment."""
    known = environment_of(one.started.environment, one.command.environment)
    path = one.command.option("config")
    records = statements.configuration("sidekiq", path) if path else [said for _, said in statements.said]
    return _section(records, one.command.option("environment"), known)


def by_file(statements: Statements) -> tuple[WorkerConfig, ...]:
    """What Sidekiq's own file says where no command is known."""
    file = _section([said for _, said in statements.said], None, {})
    if file is None:
        return ()
    config = _configured(file, statements, {})
    return (replace(config, concurrency=_in_code(statements, {}) or config.concurrency),)


def _processes(one: Running, known: Mapping[str, str]) -> int | None:
    if one.command.program != "sidekiqswarm" or one.replicas is None:
        return one.replicas
    each = count(known.get(SWARM))
    return None if each is None else min(one.replicas * each, MOST)


def _section(records: list[Record], asked: str | None, known: Mapping[str, str]) -> WorkerFile | None:
    """The file, with what its section for this environment says instead."""
    file = next((one for one in records if isinstance(one, WorkerFile)), None)
    stage = asked or next((known[name] for name in STAGES if known.get(name)), "production")
    section = dict(file.sections).get(stage) if file is not None else None
    if file is None or section is None:
        return file
    return replace(
        file,
        concurrency=section.concurrency or file.concurrency,
        capsules=section.capsules or file.capsules,
        queues=section.queues or file.queues,
        timeout=section.timeout or file.timeout,
    )


def _configured(file: WorkerFile | None, statements: Statements, known: Mapping[str, str]) -> WorkerConfig:
    capsules = {name: _given(amount, known) or 0 for name, amount in file.capsules} if file is not None else {}
    capsules |= {one.capsule: _given(one.concurrency, known) or 0 for one in _codes(statements) if one.capsule}
    if file is None:
        return WorkerConfig("", capsules=tuple(capsules.items()))
    return WorkerConfig(
        file.path, concurrency=_given(file.concurrency, known), capsules=tuple(capsules.items()), queues=file.queues
    )


def _in_code(statements: Statements, known: Mapping[str, str]) -> int | None:
    """What an initializer sets comes after options and files."""
    amounts = [one.concurrency for one in _codes(statements) if not one.capsule]
    return _given(amounts[-1], known) if amounts else None


def _codes(statements: Statements) -> list[InCode]:
    return [said for _, said in statements.said if isinstance(said, InCode)]


def _given(amount: Amount | None, known: Mapping[str, str]) -> int | None:
    return amount.given(known) if amount is not None else None
