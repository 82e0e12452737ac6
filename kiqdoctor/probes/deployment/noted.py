"""Commands that start workers in files which are no deployment of their own: Makefiles, scripts, jobs of schedulers."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.deployment.chosen import Running
from kiqdoctor.probes.deployment.commands import commands
from kiqdoctor.probes.deployment.paths import stage
from kiqdoctor.probes.deployment.programs import WORKERS, Role
from kiqdoctor.probes.deployment.records import Started
from kiqdoctor.probes.deployment.shell import simple
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

FILES: Final = (
    *("**/Makefile", "**/*.mk", "**/justfile", "**/Justfile", "**/Taskfile.yml", "**/Taskfile.yaml", "**/*.ini"),
    *("**/*.sh", "bin/*", "scripts/*", "script/*", "**/*.nomad", "**/*.hcl", "**/*.tf"),
)
LONGEST: Final = 2_000  # characters of a line
MOST: Final = 50  # commands
_NAMES: Final = tuple(name.encode() for name in WORKERS)
_KEY: Final = regex(r"^\s*(?:[\w.-]{1,40}\s?=\s|[@+-]{1,2}|cmds?:\s|-\s)")
"""What stands before a command in such files: a key, a Makefile's signs, a list's."""
_SPLIT: Final = regex(r"command\s*=\s*\"([^\"]{1,200})\"\s*\n\s*args\s*=\s*\[([^\]]{0,2000})\]")
"""A command and its arguments as Nomad's jobs write them."""
_LIST: Final = regex(r"\s*+(?:-\s*+)?+(?:command|args|cmd):\s*+\[([^\]]{0,2000})\]\s*+")
"""The same in a manifest that is a template, which YAML cannot read."""


def noted(tree: Tree, *unread: str) -> list[Running]:
    """Those of workers, in order, also of files that could not be parsed; files for trials say nothing."""
    named = tree.named(*FILES, *(path for path in unread if "*" not in path))
    return [one for file in named if stage(file.path) for one in _noted(file)][:MOST]


def _noted(file: File) -> Iterator[Running]:
    try:
        content = file.content()
    except UnreadableError:
        return
    if not any(name in content for name in _NAMES):
        return
    text = file.text()
    lines = [(number, _KEY.sub("", line, count=1)) for number, line in enumerate(text.splitlines(), 1)]
    lines += [
        (number, found[1].replace(",", " ")) for number, line in lines if (found := _LIST.fullmatch(line)) is not None
    ]
    lines += [
        (text.count("\n", 0, found.start()) + 1, f"{found[1]} {found[2].replace(',', ' ')}")
        for found in _SPLIT.finditer(text)
    ]
    for number, line in lines:
        if line.lstrip().startswith(("#", "//", ";")) or len(line) > LONGEST:
            continue
        for words in simple(line):
            found_here = [one for one in commands(words) if one.role is Role.WORKER]
            yield from (Running(one, Started("", file.path, number, tuple(words))) for one in found_here)
