"""Dockerfile: what its last stage's image starts where nobody says otherwise."""

from collections.abc import Iterator

from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import Started
from kiqdoctor.probes.deployment.shell import split
from kiqdoctor.probes.tree.file import File

NAMES = ("**/Dockerfile", "**/Dockerfile.*", "**/*.Dockerfile", "**/Containerfile")


def is_dockerfile(path: str) -> bool:
    """Whether a file of this name is one."""
    name = path.rpartition("/")[2]
    return name.startswith(("Dockerfile", "Containerfile")) or name.endswith(".Dockerfile")


@deploys(*NAMES, rank=Rank.IMAGE)
def dockerfile(file: File) -> Iterator[Started]:
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    line = 0
    environment: dict[str, str] = {}
    for number, instruction, rest in _instructions(file.text()):
        if instruction == "FROM":
            entrypoint, command, line, environment = (), (), 0, {}
        elif instruction == "ENV":
            environment |= _pairs(rest)
        elif instruction == "ENTRYPOINT":
            entrypoint, line = _words(rest), line or number
        elif instruction == "CMD":
            command, line = _words(rest), number
    if entrypoint or command:
        yield Started(file.path, file.path, line, entrypoint + command, environment=tuple(environment.items()))


def _instructions(text: str) -> Iterator[tuple[int, str, str]]:
    """Line, instruction and the rest; it goes on after a backslash, comments between."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("#"):
            continue
        first = first if joined else number
        joined += line.rstrip().removesuffix("\\") + " "
        if line.rstrip().endswith("\\"):
            continue
        instruction, _, rest = joined.strip().partition(" ")
        yield first, instruction.upper(), rest.strip()
        joined = ""


def _words(rest: str) -> tuple[str, ...]:
    """The exec form, a JSON list; anything else is a shell's line."""
    if rest.startswith("["):
        import json

        try:
            return tuple(str(word) for word in json.loads(rest))
        except (ValueError, RecursionError, TypeError):
            pass
    return ("sh", "-c", rest)


def _pairs(rest: str) -> dict[str, str]:
    """``NAME=VALUE ...``, or ``NAME VALUE``."""
    words = split(rest)
    if words and "=" not in words[0]:
        return {words[0]: " ".join(words[1:])}
    return {name: value for name, separator, value in (word.partition("=") for word in words) if separator}
