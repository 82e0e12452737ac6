"""Procfile: a process type and its command a line, run by a shell; how many of each it does not say."""

from collections.abc import Iterator

from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import Started
from kiqdoctor.probes.tree.file import File


@deploys("Procfile", "Procfile.*", rank=Rank.PROCESS_TYPES)
def procfile(file: File) -> Iterator[Started]:
    for number, line in enumerate(file.text().splitlines(), 1):
        kind, separator, command = line.partition(":")
        if separator and command.strip() and not line.lstrip().startswith("#"):
            yield Started(kind.strip(), file.path, number, ("sh", "-c", command.strip()))
