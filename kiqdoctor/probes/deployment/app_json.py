"""app.json: how many of each process type a Procfile's application runs, in what environment, and what it orders."""

from collections.abc import Iterator

from kiqdoctor.probes.deployment.amounts import count
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import EACH, Environment, Ordered, Started
from kiqdoctor.probes.tree.documents import Table
from kiqdoctor.probes.tree.file import File


@deploys("app.json", rank=Rank.PROCESS_TYPES)
def app_json(file: File) -> Iterator[Started | Ordered]:
    for document in file.yaml():
        if not isinstance(document, Table):
            continue
        for one in document.items_of("addons"):
            yield Ordered(one.text("plan") if isinstance(one, Table) else str(one), file.path)
        yield Started(EACH, file.path, environment=_environment(document.table("env")))
        formation = document.table("formation")
        for kind in formation:
            line = formation.lines.get(kind, 1)
            yield Started(kind, file.path, line, replicas=count(formation.table(kind).get("quantity")))


def _environment(variables: Table) -> Environment:
    """Variables with a value: ``"NAME": "5"`` or ``"NAME": {"value": "5"}``."""
    pairs = ((name, variables.text(name) or variables.table(name).text("value")) for name in variables)
    return tuple((name, value) for name, value in pairs if value)
