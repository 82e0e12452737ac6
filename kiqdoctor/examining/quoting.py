"""The lines of source that findings point at, for people: none that may hold a secret."""

import re
from collections.abc import Iterable
from typing import Final

from kiqdoctor.doctor.report import Location, Result
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex
from kiqdoctor.text import redact

MOST: Final = 200  # lines that are quoted
LONGEST: Final = 400  # characters of a line that is quoted at all
_TELLING: Final = regex(
    r"pass|secret|token|credential|auth|api_?key|private|dsn|://[^\s/]*@|bearer|cookie|salt|[A-Za-z0-9+/=_-]{32}",
    re.IGNORECASE,
)
_VALUE: Final = regex(r"[\"'`=:]")
_NO_SOURCE: Final = regex(r"(?:^|/)\.env|\.(?:pem|key|enc|p12|pfx)$|secrets?|credentials", re.IGNORECASE)


def quoted(tree: Tree, results: Iterable[Result]) -> dict[tuple[str, int], str]:
    """By path and line; where a word speaks of a secret beside a value, or a long literal stands, it is left out."""
    found: dict[tuple[str, int], str] = {}
    for result in results:
        for one in result.visible:
            place = one.finding.location
            if place is not None and not one.suppressed and len(found) < MOST:
                line = _line(tree, place)
                if line:
                    found[place.path, place.line] = line
    return found


def _line(tree: Tree, place: Location) -> str:
    file = None if _NO_SOURCE.search(place.path) else tree.file(place.path)
    try:
        lines = file.text().splitlines() if file is not None else []
    except UnreadableError:
        return ""
    line = lines[place.line - 1] if 0 < place.line <= len(lines) else ""
    telling = _TELLING.search(line) and _VALUE.search(line)
    return "" if len(line) > LONGEST or telling or redact(line) != line else line.rstrip()
