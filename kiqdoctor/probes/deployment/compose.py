"""Compose files: a service each; several files of one folder speak of the same services."""

from collections.abc import Iterator

from kiqdoctor.probes.deployment.amounts import of_value
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import Environment, Started
from kiqdoctor.probes.deployment.shell import words
from kiqdoctor.probes.tree.documents import Table, Value
from kiqdoctor.probes.tree.file import File

NAMES = ("**/docker-compose*.yml", "**/docker-compose*.yaml", "**/compose*.yml", "**/compose*.yaml")


@deploys(*NAMES, rank=Rank.COMPOSED)
def compose(file: File) -> Iterator[Started]:
    folder = file.path.rpartition("/")[0]
    for document in file.yaml():
        services = document.table("services") if isinstance(document, Table) else Table()
        for name in services:
            service = services.table(name)
            deploy = service.table("deploy")
            wanted = of_value(deploy.get("replicas")) or of_value(service.get("scale"))
            yield Started(
                f"{folder}/{name}",
                file.path,
                services.lines.get(name, 1),
                words(service.get("entrypoint")) + words(service.get("command")),
                replicas=wanted.given({}) if wanted is not None else None,
                unsaid=None if deploy.text("mode") == "global" else 1,
                environment=_environment(service.get("environment")),
            )


def _environment(variables: Value) -> Environment:
    """A mapping, or a list of ``NAME=VALUE``."""
    if isinstance(variables, Table):
        return tuple((name, str(value)) for name, value in variables.items() if isinstance(value, str | int))
    lines = variables if isinstance(variables, list) else []
    pairs = (line.partition("=") for line in lines if isinstance(line, str))
    return tuple((name, value) for name, separator, value in pairs if separator)
