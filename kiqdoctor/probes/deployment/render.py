"""render.yaml: services of a Render blueprint, with their instances, and variables that groups of them share."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.deployment.amounts import count, seconds
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import Ending, Environment, Started
from kiqdoctor.probes.tree.documents import Table
from kiqdoctor.probes.tree.file import File

RUN: Final = frozenset({"web", "pserv", "worker"})  # cron jobs come and go, the others start nothing of the application


@deploys("render.yaml", "render.yml", rank=Rank.PLATFORM)
def render(file: File) -> Iterator[Started]:
    for document in file.yaml():
        if not isinstance(document, Table):
            continue
        groups = {one.text("name"): one for one in document.tables("envVarGroups")}
        for service in document.tables("services"):
            command = service.text("startCommand") or service.text("dockerCommand")
            if service.text("type") in RUN and command:
                yield Started(
                    service.text("name"),
                    file.path,
                    service.line,
                    ("sh", "-c", command),
                    _instances(service),
                    unsaid=1,
                    environment=_environment(service, groups),
                    further=tuple(one.text("key") for one in service.tables("envVars") if "value" not in one),
                    ending=Ending(
                        file.path,
                        service.lines.get("maxShutdownDelaySeconds", service.line),
                        "render",
                        seconds(service.get("maxShutdownDelaySeconds")),
                    ),
                )


def _instances(service: Table) -> int | None:
    """As many as it may scale to."""
    said = (count(service.get("numInstances")), count(service.table("scaling").get("maxInstances")))
    return max((one for one in said if one is not None), default=None)


def _environment(service: Table, groups: dict[str, Table]) -> Environment:
    """Variables that are spelt out, those of its groups first; what comes of a secret is not known here."""
    own = service.tables("envVars")
    shared = [groups[name] for one in own if (name := one.text("fromGroup")) in groups]
    variables = [*(one for group in shared for one in group.tables("envVars")), *own]
    return tuple((one.text("key"), str(one["value"])) for one in variables if isinstance(one.get("value"), str | int))
