"""supervisord's programs: each a section with its command, how many of it, and how long it may take to end."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.deployment.amounts import count, seconds
from kiqdoctor.probes.deployment.formats import Rank, deploys
from kiqdoctor.probes.deployment.records import Ending, Started
from kiqdoctor.probes.deployment.shell import split
from kiqdoctor.probes.tree.file import File
from kiqdoctor.regex import regex

PROGRAM: Final = b"[program:"
_SECTION: Final = regex(r"\[(?:(?:program|fcgi-program):)?([^\]]*)\]")
_COMMENT: Final = regex(r"(?:^|\s);.*")

Settings = dict[str, tuple[int, str]]


@deploys("**/*.conf", "**/*.ini", rank=Rank.UNITS, common=True)
def supervisor(file: File) -> Iterator[Started]:
    if PROGRAM not in file.content():
        return
    for name, settings in _programs(file.text()):
        line, command = settings.get("command", (1, ""))
        told, grace = settings.get("stopwaitsecs", (line, ""))
        yield Started(
            name,
            file.path,
            line,
            split(command),
            replicas=count(settings.get("numprocs", (0, ""))[1]),
            unsaid=1,
            environment=tuple(_environment(settings.get("environment", (0, ""))[1])),
            ending=Ending(
                file.path, told, "supervisord", seconds(grace), signal=settings.get("stopsignal", (0, ""))[1]
            ),
        )


def _programs(text: str) -> Iterator[tuple[str, Settings]]:
    """Each program with its settings and their lines; a line that is indented goes on with the one above it."""
    name, settings, last = "", Settings(), ""
    for number, written in enumerate(text.splitlines(), 1):
        line = "" if written.startswith("#") else _COMMENT.sub("", written)
        section = _SECTION.match(line)
        key, separator, value = line.partition("=")
        if section is not None:
            if "command" in settings:
                yield name, settings
            name, settings, last = (section[1] if "program:" in section[0] else ""), Settings(), ""
        elif last and line[:1].isspace() and line.strip():
            settings[last] = (settings[last][0], f"{settings[last][1]} {line.strip()}".strip())
        elif separator and name:
            last = key.strip().lower()
            settings[last] = (number, value.strip())
    if "command" in settings:
        yield name, settings


def _environment(value: str) -> Iterator[tuple[str, str]]:
    """``A="1",B='2'``."""
    for pair in split(value.replace(",", " ")):
        name, separator, said = pair.partition("=")
        if separator:
            yield name, said
