"""Scripts of the application that a command calls: what they run is what the command starts."""

import re
from collections.abc import Sequence
from typing import Final

from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

DEEPEST: Final = 3  # scripts that call scripts
LONGEST: Final = 20_000  # characters of a script that are followed
SHELL: Final = regex(r"#!\s*/(?:usr/)?(?:local/)?bin/(?:env\s+)?(?:-S\s+)?(?:ba|da|a|z)?sh\b")
BEFORE: Final = frozenset(
    {
        "tini",
        "dumb-init",
        "catatonit",
        "s6-setuidgid",
        "gosu",
        "su-exec",
        "exec",
        "chpst",
        "sh",
        "bash",
        "env",
        "bundle",
    }
)
"""Programs that run the one which comes next."""
_CASE: Final = regex(r"^[ \t]*case\s+[\"']?\$\{?1\b[^\n]*?\bin\b(.*?)^[ \t]*esac\b", re.DOTALL | re.MULTILINE)
_BRANCH: Final = regex(r"^[ \t]*+\(?([^()\n]++)\)(.*?)(?:;;|\Z)", re.DOTALL | re.MULTILINE)
_ARGUMENTS: Final = regex(r"\"?\$(?:@|\*|\{@\}|\{@:\d\})\"?")
_COMMENT: Final = regex(r"(?:^|(?<=[ \t;]))#[^\n]*", re.MULTILINE)


def followed(words: Sequence[str], tree: Tree, depth: int = 0) -> tuple[str, ...]:
    """The command with the script that it calls in its place, as a shell's line; itself where it calls none."""
    at = _place(words)
    script = _script(words[at], tree) if at < len(words) and depth < DEEPEST else None
    if script is None:
        return tuple(words)
    line = _inlined(script, [*words[at + 1 :]])
    lines = line.split("\n")
    return (*words[:at], "sh", "-c", "\n".join(_again(one, tree, depth + 1) for one in lines))


def _place(words: Sequence[str]) -> int:
    """Where the program stands, behind inits, shells without options, and variables."""
    at = 0
    while at < len(words) and _before_program(words[at], first=not at):
        at += 1
    return at


def _before_program(word: str, *, first: bool) -> bool:
    if word.startswith("-"):
        return not first and word not in {"-c", "-lc"}
    return word.rpartition("/")[2] in BEFORE or "=" in word


def _script(word: str, tree: Tree) -> str | None:
    if not re.fullmatch(r"[\w./-]*/[\w.-]+|[\w-]+\.sh", word):
        return None
    file = _found(word, tree)
    try:
        text = file.text() if file is not None else ""
    except UnreadableError:
        return None
    return text if SHELL.match(text) and len(text) <= LONGEST else None


def _found(word: str, tree: Tree) -> File | None:
    """The script, where an image or a host may hold the application at another place."""
    parts = word.removeprefix("./").strip("/").split("/")
    starts = range(len(parts)) if word.startswith("/") else (0,)
    names = ["/".join(parts[start:]) for start in starts]
    further = [f"{folder}/{parts[-1]}" for folder in ("docker", "bin", "scripts")] if word.startswith("/") else []
    return next((file for name in [*names, *further] if (file := tree.file(name)) is not None), None)


def _inlined(script: str, arguments: list[str]) -> str:
    """The script's lines without comments, with its arguments, and of a case over the first one its branch alone."""
    plain = _COMMENT.sub("", script.partition("\n")[2]).replace("\\\n", " ")
    first = arguments[0] if arguments else ""

    def branch(found: re.Match[str]) -> str:
        for one in _BRANCH.finditer(found[1]):
            names = [name.strip().strip("\"'") for name in one[1].split("|")]
            if first in names or "*" in names:
                return one[2]
        return ""

    chosen = _CASE.sub(branch, plain)
    taken = _ARGUMENTS.sub(" ".join(arguments).replace("\\", r"\\"), chosen)
    return re.sub(r"\"?\$\{?1\}?\"?(?!\w)", first.replace("\\", r"\\"), taken)


def _again(line: str, tree: Tree, depth: int) -> str:
    """A line of a script, which may call the next one."""
    words = line.split()
    if len(words) > LONGEST or not words:
        return line
    inner = followed(words, tree, depth)
    return line if inner == tuple(words) else " ".join(inner[:-3] + inner[-1:])
