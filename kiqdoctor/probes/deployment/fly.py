"""fly.toml: process groups of an application's machines, with what the platform sends at their end."""

from collections.abc import Iterator

from kiqdoctor.probes.deployment.amounts import seconds
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import Ending, Environment, Started
from kiqdoctor.probes.tree.documents import Table
from kiqdoctor.probes.tree.file import File


@deploys("fly.toml", "fly.*.toml", rank=Rank.PLATFORM)
def fly(file: File) -> Iterator[Started]:
    """Each group runs on one machine or more, as `fly scale` was told; the file does not say it."""
    document = file.toml()
    environment: Environment = tuple((name, str(value)) for name, value in document.table("env").items())
    signal = document.text("kill_signal").removeprefix("SIG")
    ending = Ending(file.path, _line(file, "kill_timeout"), "fly", seconds(document.get("kill_timeout")), signal=signal)
    groups = document.table("processes") or Table({"app": document.table("experimental").text("cmd")})
    for name, command in groups.items():
        if isinstance(command, str) and command:
            line = _line(file, name)
            yield Started(name, file.path, line, ("sh", "-c", command), environment=environment, ending=ending)


def _line(file: File, key: str) -> int:
    """Where a key stands: TOML's parser does not say it."""
    lines = enumerate(file.text().splitlines(), 1)
    return next((number for number, line in lines if line.partition("=")[0].strip().strip('"') == key), 1)
