"""Task definitions of Amazon's ECS: the containers of a task."""

from collections.abc import Iterator

from kiqdoctor.probes.deployment.amounts import cores, seconds
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import PART, Ending, Environment, Started
from kiqdoctor.probes.deployment.shell import words
from kiqdoctor.probes.tree.documents import Table
from kiqdoctor.probes.tree.file import File

CONTAINERS = "containerDefinitions"
SHARE = 1024  # of CPU: one core


@deploys("**/*task*.json", "**/ecs/*.json", "**/ecs*.json", ".aws/*.json", rank=Rank.ORCHESTRATED, common=True)
def ecs(file: File) -> Iterator[Started]:
    if CONTAINERS.encode() not in file.content():
        return
    for document in file.yaml():
        task = document if isinstance(document, Table) else Table()
        for container in task.tables(CONTAINERS):
            share = container.whole("cpu")
            yield Started(
                f"{task.text('family') or file.path}{PART}{container.text('name')}",
                file.path,
                container.line,
                words(container.get("entryPoint")) + words(container.get("command")),
                environment=_environment(container),
                cores=cores(share / SHARE) if share else None,
                ending=Ending(
                    file.path,
                    container.lines.get("stopTimeout", container.line),
                    "ecs",
                    seconds(container.get("stopTimeout")),
                    init=container.table("linuxParameters").get("initProcessEnabled") is True,
                ),
                further=tuple(one.text("name") for one in container.tables("secrets")),
                closed="environmentFiles" not in container,
            )


def _environment(container: Table) -> Environment:
    return tuple((one.text("name"), one.text("value")) for one in container.tables("environment"))
