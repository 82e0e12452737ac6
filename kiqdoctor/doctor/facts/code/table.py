"""The table of functions that all sites point into."""

from collections import Counter

import msgspec

from kiqdoctor.doctor.counting import counted
from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a file, whose path is relative to the application's root; line and column count from 1."""

    path: str
    line: int
    column: int = 1


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method by its qualified name; ``body``: what a file does when it is loaded.

    ``caller``: the function that leads here from a job, as its index in the table, which is always smaller than this
    one's: so a chain has an end. None: a job itself, or what no job leads to.
    """

    name: str
    place: Place
    language: str
    caller: int | None = None
    body: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """A job: its class or function as it is called from outside, and the function that runs (an index)."""

    name: str
    function: int
    library: str = ""  # "celery", "sidekiq"... where it is known
    queue: str = ""  # where its own text names one
    coroutine: bool = False


class Site(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A place within a function: an index into ``Code.functions``, whose file it is in, and where there.

    No dataclass, as facts are elsewhere: there are many kinds, each of which would cost every command a millisecond,
    and very many sites, whose defaults a recording need not hold.
    """

    function: int
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Code:
    """All functions, those that a job leads to first (``reached`` of them), callers before what they call.

    ``unparsed``: files that could not be read, each with the reason. ``beyond``: functions that jobs would lead to,
    further away than calls are followed; ``unfollowed``: calls of jobs by a name that functions of the application
    have, on objects that nobody knows. ``blind``: why the jobs that were found are not all that there must be.
    ``aside``: files that could not be read either, in which nothing stands that a job could run: they limit no rule.
    """

    functions: tuple[Function, ...] = ()
    reached: int = 0
    jobs: tuple[Job, ...] = ()
    files: int = 0
    unparsed: tuple[tuple[str, str], ...] = ()
    lines: int = 0
    beyond: int = 0
    unfollowed: int = 0
    blind: str = ""
    aside: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        """Raises ValueError where a chain could have no end."""
        for index, function in enumerate(self.functions):
            if function.caller is not None and not 0 <= function.caller < index:
                raise ValueError(f"the caller of function {index} must stand before it")

    @property
    def seen(self) -> str:
        """What was looked at, in words."""
        libraries = Counter(one.library or "of an unknown library" for one in self.jobs)
        named = ", ".join(f"{count} {name}" for name, count in libraries.most_common())
        parts = [
            counted(self.files, "source file"),
            counted(self.lines, "line"),
            counted(len(self.jobs), "job") + (f" ({named})" if named else ""),
        ]
        parts += [f"{counted(len(self.unparsed), 'file')} not parsed"] if self.unparsed else []
        parts += [f"{counted(len(self.aside), 'file')} of data not parsed"] if self.aside else []
        left = self.unfollowed + self.beyond
        parts += [counted(left, "call of jobs not followed", "calls of jobs not followed")] if left else []
        return ", ".join(parts)

    def chain(self, site: Site) -> tuple[str, ...]:
        """The names from a job to the function that holds the site; empty where no job leads there."""
        if not self.leads_to(site):
            return ()
        names: list[str] = []
        index: int | None = site.function
        while index is not None:
            names.append(self.functions[index].name)
            index = self.functions[index].caller
        return tuple(reversed(names))

    def job(self, site: Site) -> Job | None:
        """The job whose chain leads to a site; None where none does."""
        if not self.leads_to(site):
            return None
        index = site.function
        while (caller := self.functions[index].caller) is not None:
            index = caller
        return next((one for one in self.jobs if one.function == index), None)

    def leads_to(self, site: Site) -> bool:
        """Whether a job does."""
        return site.function < self.reached

    def language(self, site: Site) -> str:
        """The language it is written in."""
        return self.functions[site.function].language

    def place(self, site: Site) -> Place:
        """Where the site is."""
        return Place(self.functions[site.function].place.path, site.line, site.column)
