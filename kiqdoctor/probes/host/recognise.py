"""Which processes are workers: by the titles and commands of Sidekiq, Resque and our runtime, never by a mere word."""

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile
from pathlib import Path, PurePosixPath
from typing import Final

from kiqdoctor.probes.host.files import listed, read
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.wire.numbers import whole

TITLE: Final = 1_000  # characters of a title that are looked at: anybody may start a process with any name
_NUMBER: Final = "[0-9]{1,9}"
_VERSION: Final = rf"(?P<version>{_NUMBER}\.{_NUMBER}[^\s\[]{{0,60}})"
_SIDEKIQ: Final = regex(
    rf"sidekiq {_VERSION}(?: (?P<tag>[^\[]*))?"
    rf"\[(?P<busy>{_NUMBER}) of (?P<of>{_NUMBER}) busy\](?P<stopping> stopping)? *"
)
_RESQUE: Final = regex(rf"(?:[^ ]* )?resque-{_VERSION}: (?P<tag>.*)")
_THREADS: Final = frozenset({"heartbeat", "scheduler", "processor"})
_WEB: Final = frozenset({"puma", "unicorn", "falcon", "thin", "gunicorn", "uvicorn", "uwsgi", "hypercorn", "daphne"})
_WEB_TITLE: Final = regex(r"(?:puma|unicorn|gunicorn|uvicorn|uwsgi|passenger rubyapp)\b.*", re.IGNORECASE)
_RUBY: Final = regex(r"ruby[\d.]*|puma|rails|unicorn|falcon|passenger.*")


@dataclass(frozen=True, slots=True)
class Title:
    """What a process says of itself."""

    kind: str
    version: str = ""
    tag: str = ""
    busy: int | None = None
    concurrency: int | None = None
    stopping: bool = False


def serves(cmdline: bytes) -> bool:
    """Whether it is a web server of an application, by its title or its command."""
    words = [word.decode("utf-8", "backslashreplace") for word in cmdline.rstrip(b"\0 ").split(b"\0")[:5]]
    names = [PurePosixPath(word).name for word in words]
    rest = names[1:] if _is_interpreter(names[0]) else names
    rest = rest[1:] if rest[:1] == ["-m"] else rest[2:] if rest[:2] == ["bundle", "exec"] else rest
    if rest[:1] == ["rails"]:
        return rest[1:2] in (["server"], ["s"])
    return rest[:1] != [] and (rest[0] in _WEB or bool(_WEB_TITLE.fullmatch(words[0][:TITLE])))


def recognise(folder: Path, cmdline: bytes) -> Title | None:
    """The worker in this folder of /proc, or None."""
    words = [word.decode("utf-8", "backslashreplace") for word in cmdline.rstrip(b"\0 ").split(b"\0")]
    return _titled(words[0][:TITLE] if words else "") or _started(words) or _embedded(folder, words)


def _titled(title: str) -> Title | None:
    if match := _SIDEKIQ.fullmatch(title):
        tag, stopping = (match["tag"] or "").strip(), match["stopping"] is not None
        return Title("sidekiq", match["version"], tag, whole(match["busy"]), whole(match["of"]), stopping)
    if match := _RESQUE.fullmatch(title):
        return Title("resque", match["version"], match["tag"])
    return None


def _started(words: Sequence[str]) -> Title | None:
    """By its command, before the first title, or where none is ever set."""
    names = [PurePosixPath(word).name for word in words]
    program = names[0] if names else ""
    rest = names[1:] if _is_interpreter(program) else names
    if program.startswith("python"):
        flags = sum(1 for _ in takewhile(lambda word: word.startswith("-") and word != "-m", words[1:]))
        if words[1 + flags : 3 + flags] == ["-m", "kiqdoctor"]:
            return _ours(words[3 + flags :])
    if rest and rest[0] == "kiqdoctor":
        return _ours(rest[1:])
    if rest[:2] in (["bundle", "exec"], ["bundler", "exec"]):
        rest = rest[2:]
    if rest and rest[0] in {"sidekiq", "sidekiqswarm"} and (program in rest[:1] or not program.startswith("python")):
        return Title("sidekiq")
    return None


def _ours(words: Sequence[str]) -> Title | None:
    if not words or words[0] != "work":
        return None
    for flag, value in pairwise(words):
        if flag in {"-c", "--concurrency"} and (threads := whole(value)) is not None:
            return Title("kiqdoctor", concurrency=threads)
    return Title("kiqdoctor")


def _is_interpreter(program: str) -> bool:
    return program.startswith(("ruby", "python", "jruby", "truffleruby"))


def _embedded(folder: Path, words: Sequence[str]) -> Title | None:
    """A Ruby program with Sidekiq's threads in it."""
    comm = (read(folder / "comm") or b"").decode("utf-8", "replace").strip()
    program = PurePosixPath(words[0].split(" ")[0]).name if words and words[0] else comm
    if not (_RUBY.fullmatch(comm) or _RUBY.fullmatch(program)):
        return None
    names = {(read(folder / "task" / task / "comm") or b"").decode("utf-8", "replace").strip()
             for task in listed(folder / "task")[:500]}  # fmt: skip
    if names >= _THREADS or any(name.startswith("sidekiq.") for name in names):
        return Title("sidekiq-embedded")
    return None
