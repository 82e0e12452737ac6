"""The application's source: its jobs, and what runs in them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Job:
    """One job class or function."""

    name: str
    path: str
    line: int
    language: str


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a package or a pattern. ``chain``: from a job to here, names; empty = no job reaches it.

    ``pattern`` is a word of the advisory conditions' vocabulary (doctor/probes/source documents each).
    """

    pattern: str
    subject: str  # the module, constant or call
    path: str
    line: int
    column: int = 1
    chain: tuple[str, ...] = ()
    language: str = "python"


@dataclass(frozen=True, slots=True)
class Source:
    """The index of jobs and of what they import, call and share. ``unparsed``: files that no parser could read."""

    jobs: tuple[Job, ...] = ()
    uses: tuple[Use, ...] = ()
    files: int = 0
    unparsed: tuple[tuple[str, str], ...] = ()
    partial: str = ""
