"""sidekiq.yml: threads, queues and capsules, with sections for environments; embedded Ruby is read, never run."""

from kiqdoctor.probes.deployment.amounts import of_value
from kiqdoctor.probes.deployment.formats import configures
from kiqdoctor.probes.deployment.records import WorkerFile
from kiqdoctor.probes.tree.documents import Table, Value
from kiqdoctor.probes.tree.file import File


@configures("sidekiq", "config/sidekiq.yml", "config/sidekiq.yml.erb")
def sidekiq_yml(file: File) -> list[WorkerFile]:
    documents = file.yaml()
    return [_file(_plain(documents[0] if documents else None), file.path, sections=True)]


def _file(words: Table, path: str, *, sections: bool) -> WorkerFile:
    capsules = _plain(words.get("capsules"))
    inner = [(name, _plain(one)) for name, one in words.items() if isinstance(one, Table)] if sections else []
    return WorkerFile(
        path=path,
        concurrency=of_value(words.get("concurrency")),
        capsules=tuple((name, of_value(_plain(one).get("concurrency"))) for name, one in capsules.items()),
        queues=tuple(name for one in words.items_of("queues") if (name := queue(one))),
        timeout=of_value(words.get("timeout")),
        sections=tuple((name, _file(one, path, sections=False)) for name, one in inner),
    )


def _plain(words: Value) -> Table:
    """A mapping with ``:symbol`` keys as words."""
    found = words if isinstance(words, Table) else Table()
    return Table({key.lstrip(":"): value for key, value in found.items()}, found.line)


def queue(value: Value) -> str:
    """``mail`` of ``mail``, of ``mail,2`` and of ``[mail, 2]``."""
    name = value[0] if isinstance(value, list) and value else value
    return str(name).split(",")[0] if isinstance(name, str | int) else ""
