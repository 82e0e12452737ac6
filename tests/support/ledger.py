"""What jobs did, noted outside Redis: one line in a file for each begin and end, appended whole."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

_PREAMBLE = """\
import os, time
from contextlib import contextmanager
import kiqdoctor
from kiqdoctor import job

LEDGER = os.open({path!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

def note(word, of=None):
    running = kiqdoctor.current()
    line = f"{{word}} {{of or running.jid}} {{running.attempt}} {{os.getpid()}} {{time.monotonic():.6f}}\\n"
    os.write(LEDGER, line.encode())

@contextmanager
def noted():
    note("begin")
    try:
        yield
    except BaseException:
        note("fail")
        raise
    note("end")
"""


def preamble(path: Path) -> str:
    """The first lines of an application whose jobs say ``with noted(): ...``."""
    return _PREAMBLE.format(path=str(path))


@dataclass
class Ledger:
    """``begun``: pids of all executions of (jid, attempt), in order; ``ends``: how often each jid ran to its end.

    ``words``: of what an application noted of its own, by word and what it is of.
    """

    begun: dict[tuple[str, str], list[int]] = field(default_factory=lambda: defaultdict(list))
    ends: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    words: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """What stands there now."""
        found = cls()
        for line in path.read_text(encoding="ascii").splitlines() if path.exists() else ():
            word, jid, attempt, pid, _ = line.split(" ")
            if word == "begin":
                found.begun[jid, attempt].append(int(pid))
            elif word == "end":
                found.ends[jid] += 1
            elif word == "fail":
                found.failures[jid] += 1
            else:
                found.words[word, jid] += 1
        return found

    @property
    def ended(self) -> set[str]:
        """Jids that ran to their end."""
        return set(self.ends)

    @property
    def executions(self) -> int:
        """Begins of all."""
        return sum(len(pids) for pids in self.begun.values())

    @property
    def repeated(self) -> dict[tuple[str, str], list[int]]:
        """What began more than once."""
        return {key: pids for key, pids in self.begun.items() if len(pids) > 1}

    @property
    def jids(self) -> set[str]:
        """All that began."""
        return {jid for jid, _ in self.begun}
