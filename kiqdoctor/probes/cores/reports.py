"""The stack that Ruby or Python's faulthandler wrote into a log when the process crashed."""

import re
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.threads import Frame
from kiqdoctor.probes.native.crashes import BEFORE, MARK, PID, REPORT, TAIL
from kiqdoctor.probes.tree.disk import regular
from kiqdoctor.regex import regex
from kiqdoctor.text import decode

FRAMES: Final = 100
_RUBY: Final = regex(r"^(?P<file>[^\n]{1,500}?):(?P<line>\d{1,9}):in [`'](?P<name>[^\n]{1,300})'\r?$", re.MULTILINE)
_PYTHON: Final = regex(
    r'^  File "(?P<file>[^"\n]{1,500})", line (?P<line>\d{1,9}) in (?P<name>[^\n]{1,300})$', re.MULTILINE
)


def reported(log: Path, pid: int) -> tuple[Frame, ...]:
    """Innermost first, from the last report that may be of this process; none where there is none.

    Raises:
        OSError: it cannot be read; its ``strerror`` or its text is one line.
    """
    import os

    with regular(log) as file:
        size = os.fstat(file).st_size
        raw = os.pread(file, TAIL, max(0, size - TAIL))
    for found in reversed(list(MARK.finditer(raw))):
        pids = PID.findall(raw[max(0, found.start() - BEFORE) : found.start()])
        if not pids or int(pids[-1]) == pid:
            return _frames(decode(raw[found.start() : found.end() + REPORT]))
    return ()


def _frames(report: str) -> tuple[Frame, ...]:
    _, ruby, rest = report.partition("-- Ruby level backtrace information")
    if ruby:  # the outermost first, as Ruby writes it
        found = list(_RUBY.finditer(rest.partition("\n-- ")[0]))[::-1]
    else:
        _, _, rest = report.partition("(most recent call first):\n")
        found = list(_PYTHON.finditer(rest.partition("\n\n")[0]))
    return tuple(Frame(one["name"], one["file"], int(one["line"])) for one in found[:FRAMES])
