"""systemd units and what is dropped into them: what ExecStart says, with its environment."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from kiqdoctor.probes.deployment.amounts import cores, seconds
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import Ending, Started
from kiqdoctor.probes.deployment.shell import split
from kiqdoctor.probes.tree.file import File

FOREVER: Final = 1e9  # seconds: nobody is killed
PREFIXES = "@-:+!"  # before a path: how it is executed, no part of it


@deploys("**/*.service", "**/*.service.d/*.conf", rank=Rank.UNITS)
def systemd(file: File) -> Iterator[Started]:
    unit = file.path.rpartition(".service")[0].rpartition("/")[2]
    environment: list[tuple[str, str]] = []
    starts: list[tuple[int, tuple[str, ...]]] = []
    ending = Ending(file.path, 1, "systemd")
    closed = True
    quota: float | None = None
    for number, key, value in _settings(file.text()):
        if key == "ExecStart" and value:
            starts.append((number, split(value.lstrip(PREFIXES))))
        elif key == "Environment":
            pairs = (word.partition("=") for word in split(value))
            environment += [(name, said) for name, separator, said in pairs if separator]
        elif key in {"EnvironmentFile", "PassEnvironment"}:
            closed = False
        elif key == "CPUQuota":
            quota = cores(value)
        ending = _ending(ending, number, key, value)
    told = ending if ending != Ending(file.path, 1, "systemd") or starts else None
    for number, words in starts or ([(1, ())] if environment or told else []):
        one_each = None if unit.endswith("@") else 1  # a template says nothing of how many are made of it
        yield Started(
            unit,
            file.path,
            number,
            words,
            unsaid=one_each,
            environment=tuple(environment),
            ending=told,
            closed=closed,
            cores=quota,
        )


def _ending(known: Ending, number: int, key: str, value: str) -> Ending:
    if key in {"TimeoutStopSec", "TimeoutSec"}:
        told = FOREVER if value == "infinity" else seconds(value)
        return replace(known, line=number, grace_s=told, untold=told is None and bool(value))
    if key == "KillSignal":
        return replace(known, signal=value.removeprefix("SIG"))
    return replace(known, mode=value) if key == "KillMode" else known


def _settings(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, key and value; a value goes on after a backslash."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if joined else number
        joined += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        key, separator, value = joined.partition("=")
        if separator and not joined.lstrip().startswith(("#", ";")):
            yield first, key.strip(), value.strip()
        joined = ""
