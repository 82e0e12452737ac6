"""Where a pipeline's tools look for a finding: a file of the repository, also for what has no file of its own."""

from typing import Final

from kiqdoctor.doctor.report import Evidence, Location, Reported
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

MANIFESTS: Final = (
    "kiqdoctor.toml",
    "config/sidekiq.yml",
    "pyproject.toml",
    "Gemfile",
    "requirements.txt",
    "setup.cfg",
    "Procfile",
)
"""What stands for the application, the most fitting first: our configuration, Sidekiq's, then what declares it."""

LONGEST: Final = 4096  # characters of a path that a system opens

_FILE: Final = regex(
    r"(?P<path>(?:[\w.@+-]+/)*(?:Gemfile|Procfile|Dockerfile|"
    r"[\w.@+-]+\.(?:cfg|env|ini|json|lock|py|rb|ru|service|toml|txt|ya?ml)))(?::(?P<line>\d{1,7}))?"
)


@dataclass(frozen=True, slots=True)
class Ground:
    """``root``: the application's folder as seen from the repository's, "" where they are one.

    ``anchor``: the file that stands for the application, relative to it: the first of MANIFESTS that exists.
    """

    root: str = ""
    anchor: str = MANIFESTS[0]

    def place(self, one: Reported) -> Location:
        """The finding's own place, else the file that its subject or its evidence names, else the anchor."""
        return self.seen(_own(one) or Location(self.anchor))

    def seen(self, location: Location) -> Location:
        """The same place from the repository's root, on lines and columns that exist."""
        path = "/".join(part for part in (*self.root.split("/"), *location.path.split("/")) if part not in {"", "."})
        return Location(path[:LONGEST] or self.anchor, max(1, location.line), max(1, location.column))


HERE: Final = Ground()


def _own(one: Reported) -> Location | None:
    if one.finding.location is not None:
        return one.finding.location
    subject = one.finding.subject.removeprefix("file:")
    named = (subject,) if subject != one.finding.subject else ()
    places = (_file(text) for text in (*named, *map(_source, one.finding.evidence)))
    return next((place for place in places if place is not None), None)


def _source(seen: Evidence) -> str:
    return seen.source


def _file(text: str) -> Location | None:
    """``config/puma.rb`` or ``config/puma.rb:3``; nothing that only might be a file."""
    found = _FILE.fullmatch(text[: LONGEST + 1])
    if found is None or ".." in text.split("/"):
        return None
    return Location(found["path"], int(found["line"] or 1))
