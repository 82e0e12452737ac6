"""Packages of the application, from lock files and installed environments; and the advisories about them."""

from typing import Final

from kiqdoctor.records import dataclass

TRIALS: Final = frozenset(
    {"dev", "develop", "development", "debug", "local", "test", "tests", "testing", "lint", "linting", "linters", "ci"}
    | {"docs", "doc", "documentation", "typing", "types", "build", "tools", "assets", "benchmark", "benchmarks", "qa"}
)
"""Groups of packages that production does without."""


@dataclass(frozen=True, slots=True)
class Package:
    """One resolved package. ``groups``: "default" unless the file says otherwise; ``direct``: asked for by name."""

    ecosystem: str  # "ruby" or "python"
    name: str  # normalised (PEP 503 for Python)
    version: str  # "" where unknown (git, path)
    source: str  # file or environment it was read from, relative to the root where it can be
    line: int = 1
    groups: tuple[str, ...] = ("default",)
    platform: str = ""  # Gemfile.lock's platform suffix
    installed: bool = False
    direct: bool = True
    required_by: tuple[str, ...] = ()

    @property
    def production(self) -> bool:
        """Whether it is installed where the application runs: asked for by more than its trials and its documents."""
        return not self.groups or not set(self.groups) <= TRIALS

    origin: str = ""  # "git" where a commit is locked and no release
    spelt: str = ""  # as its file writes the name, where that is otherwise

    @property
    def shown(self) -> str:
        """Its name as people know it."""
        return self.spelt or self.name


@dataclass(frozen=True, slots=True)
class Packages:
    """Everything resolved. ``unreadable``: lock files that could not be parsed, with the reason."""

    all: tuple[Package, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()
    sources: tuple[str, ...] = ()

    def find(self, ecosystem: str, name: str) -> tuple[Package, ...]:
        """All copies of one package."""
        return tuple(one for one in self.all if one.ecosystem == ecosystem and one.name == name)

    def version_of(self, ecosystem: str, name: str) -> str:
        """The version of the first copy, "" where there is none."""
        return next((one.version for one in self.find(ecosystem, name) if one.version), "")


@dataclass(frozen=True, slots=True)
class Advisory:
    """One row of the advisory table (checks/packages/advisories/*.toml)."""

    id: str
    ecosystem: str
    packages: tuple[str, ...]
    range: str  # "" = every version; else comma list of comparisons
    condition: str
    kind: str
    severity: str
    confidence: str  # h, m, l
    what: str
    remedy: str
    evidence: tuple[str, ...]
    reviewed_on: str
    could: str = ""  # the condition under which the row could hold though no harm was seen: information


@dataclass(frozen=True, slots=True)
class Advisories:
    """The whole table."""

    all: tuple[Advisory, ...] = ()
    known_safe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Pin:
    """The version of a language that one file asks for."""

    language: str
    version: str
    path: str
    line: int = 1


@dataclass(frozen=True, slots=True)
class Runtimes:
    """All of them, and when they were read (epoch seconds). ``floors``: versions below which nothing is taken."""

    all: tuple[Pin, ...] = ()
    at: float = 0.0
    floors: tuple[Pin, ...] = ()
