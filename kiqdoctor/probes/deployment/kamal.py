"""Kamal's deploy.yml: the roles of a service, on how many hosts each runs, and what it runs there."""

from collections.abc import Iterator

from kiqdoctor.probes.deployment.amounts import seconds
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import Ending, Environment, Started
from kiqdoctor.probes.deployment.shell import split
from kiqdoctor.probes.tree.documents import Table
from kiqdoctor.probes.tree.file import File

WAITS = ("stop_wait_time", "drain_timeout")  # of Kamal 1 and 2; both are what `docker stop` is given


@deploys("config/deploy.yml", "config/deploy.*.yml", rank=Rank.PLATFORM, common=True)
def kamal(file: File) -> Iterator[Started]:
    if b"servers:" not in file.content():
        return
    for document in file.yaml():
        if not isinstance(document, Table) or not document.text("service"):
            continue
        shared = _environment(document)
        told = next((name for name in WAITS if name in document), "")
        for role, said in document.table("servers").items():
            if isinstance(said, Table) and said.text("cmd"):
                hosts = said.get("hosts")
                yield Started(
                    f"{document.text('service')}/{role}",
                    file.path,
                    said.lines.get("cmd", said.line),
                    split(said.text("cmd")),
                    replicas=len(hosts) if isinstance(hosts, list) and hosts else None,
                    environment=shared + _environment(said),
                    ending=Ending(file.path, document.lines.get(told, said.line), "kamal", seconds(document.get(told))),
                )


def _environment(document: Table) -> Environment:
    """Variables that are spelt out: below ``clear``, or at once where none is secret."""
    said = document.table("env")
    clear = said.table("clear") if "clear" in said or "secret" in said else said
    return tuple((name, str(value)) for name, value in clear.items() if isinstance(value, str | int))
