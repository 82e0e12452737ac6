"""The one reader of command lines: which program is started, with what options, in what environment."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Final

from kiqdoctor.probes.deployment.amounts import Amount, of_value
from kiqdoctor.probes.deployment.programs import BY_NAME, Program, Role
from kiqdoctor.probes.deployment.shell import simple
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

SHELLS: Final = frozenset({"sh", "bash", "dash", "ash", "zsh"})
KEYWORDS: Final = frozenset({"then", "do", "else", "if", "elif", "while", "until", "!", "{", "(", "exec", "time"})
INERT: Final = frozenset(
    {"echo", "printf", "cd", "pushd", "export", "set", "unset", "test", "[", "[[", "which", "type", "command", "trap"}
    | {"cp", "mv", "rm", "ln", "ls", "mkdir", "touch", "chown", "chmod", "cat", "tail", "head", "grep", "sed", "awk"}
    | {
        "kill",
        "pkill",
        "pgrep",
        "killall",
        "ps",
        "systemctl",
        "service",
        "supervisorctl",
        "initctl",
        "sv",
        "journalctl",
    }
    | {"gem", "pip", "pip3", "apt", "apt-get", "apk", "yum", "dnf", "npm", "yarn", "git", "curl", "wget", "rake", "#"}
)
"""Commands that take a program's name for something else than running it."""
HANDS_OVER: Final = frozenset({"exec", "run", "--"})  # what comes next is the command
DEEPEST: Final = 4  # a shell's line in a shell's line
_ASSIGNED: Final = regex(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """A program with its options, by our names and in order; flags have the value ""."""

    program: str
    role: Role
    options: tuple[tuple[str, str], ...] = ()
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()  # what stands before it on its line
    shell: bool = False  # a shell that was not replaced by it waits for it
    words: tuple[str, ...] = ()  # all that follows its name

    def every(self, name: str) -> tuple[str, ...]:
        """Each value of an option."""
        return tuple(value for option, value in self.options if option == name)

    def option(self, name: str) -> str | None:
        """An option's value, the last where it is given again; None where it is not."""
        return next(reversed(self.every(name)), None)

    def amount(self, name: str) -> Amount | None:
        """An option's value as a number."""
        return of_value(self.option(name))

    def has(self, name: str) -> bool:
        """Whether an option is given at all."""
        return bool(self.every(name))


def commands(words: Sequence[str], depth: int = 0) -> Iterator[Command]:
    """Every program of ours that a command starts, in order, through shells and wrappers."""
    if depth > DEEPEST or not words:
        return
    before, rest = _environment(words)
    names = [PurePosixPath(word).name for word in rest]
    if not names or names[0] in INERT:
        return
    if names[0] in SHELLS:
        yield from (one for line in _lines(rest) for one in _within(line, before, depth))
        return
    for number, name in enumerate(names):
        if name in INERT and number and names[number - 1] in HANDS_OVER:
            return
        program = BY_NAME.get(name)
        if program is not None and (not program.starts or set(names[number + 1 : number + 2]) & program.starts):
            yield from _command(program, rest[number + 1 :], before)
            return
    yield from (one for word in rest if " " in word for one in _within(word, before, depth))


def _environment(words: Sequence[str]) -> tuple[tuple[tuple[str, str], ...], list[str]]:
    """Variables that are set before a command, and the command."""
    found: list[tuple[str, str]] = []
    rest = list(words)
    while rest and ((assigned := _ASSIGNED.fullmatch(rest[0])) or rest[0] in KEYWORDS or rest[0] == "env"):
        if assigned:
            found.append((assigned[1], assigned[2]))
        del rest[0]
    return tuple(found), rest


def _lines(words: Sequence[str]) -> Iterator[str]:
    """What a shell is given with ``-c``, ``-lc`` and the like."""
    for option, line in pairwise(words):
        if option.startswith("-") and not option.startswith("--") and option.endswith("c"):
            yield line
            return


def _within(line: str, before: tuple[tuple[str, str], ...], depth: int) -> Iterator[Command]:
    for words in simple(line):
        for one in commands(words, depth + 1):
            yield replace(one, environment=before + one.environment, shell=one.shell or not _replaces(words))


def _replaces(words: Sequence[str]) -> bool:
    """Whether a line of a shell begins with its ``exec``, variables aside."""
    return next((word for word in words if not _ASSIGNED.fullmatch(word)), "") == "exec"


def _command(program: Program, words: Sequence[str], before: tuple[tuple[str, str], ...]) -> Iterator[Command]:
    options, arguments = _options(program, words)
    name = "puma" if program.name == "rails" else program.name
    if name != "celery" or "worker" in arguments:
        yield Command(name, program.role, tuple(options), tuple(arguments), before, words=tuple(words))


def _options(program: Program, words: Sequence[str]) -> tuple[list[tuple[str, str]], list[str]]:
    options: list[tuple[str, str]] = []
    arguments: list[str] = []
    rest = iter(words)
    for word in rest:
        if not word.startswith("-") or word == "-":
            arguments.append(word)
            continue
        spelt, separator, value = word.partition("=")
        if spelt in program.flags:
            options.append((program.flags[spelt], ""))
        elif spelt in program.valued:
            options.append((program.valued[spelt], value if separator else next(rest, "")))
        elif not word.startswith("--") and word[:2] in program.valued:
            options.append((program.valued[word[:2]], word[2:]))
    return options, arguments


def environment_of(*parts: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Variables of several places; what comes later wins."""
    return {name: value for part in parts for name, value in part}
