"""The application's packages, from lock files and installed environments; and the advisories about packages."""

from collections.abc import Callable
from pathlib import Path
from posixpath import dirname, join
from typing import Final

from kiqdoctor.doctor.facts.packages import Advisories, Advisory, Package, Packages
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Application, Pack
from kiqdoctor.probes.packages.environment import environment
from kiqdoctor.probes.packages.ruby import LockError, gemfile_lock
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.wire import codec

GEMFILES: Final = {"Gemfile.lock": "Gemfile", "gems.locked": "gems.rb"}
TABLES: Final = ("uv.lock", "poetry.lock", "pdm.lock")
PIPFILE: Final = "Pipfile.lock"
OTHERS: Final = (PIPFILE, "pylock.toml")
REQUIREMENTS: Final = ("requirements*.txt", "*requirements.txt", "requirements/*.txt")
SETUP: Final = "setup.cfg"
ASKING: Final = ("pyproject.toml", SETUP, "Pipfile")
FOLDERS: Final = ("", "*/", "*/*/")


@probe(
    Read("Gemfile.lock, requirements*.txt, uv.lock, poetry.lock, pdm.lock, Pipfile.lock, pyproject.toml", "", "small"),
    Read("setup.cfg, Pipfile, environment.yml, conda-lock.yml", "", "small"),
    Read("site-packages/*.dist-info", "", "one listing; no interpreter is run"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def packages(application: Application, tree: Tree) -> Packages:
    """Everything resolved, each with the file or environment that names it."""
    root = application.root
    found: list[Package] = []
    sources: list[str] = []
    unreadable: list[tuple[str, str]] = []
    for file, read in _readers(tree):
        try:
            found += read(file)
            sources.append(file.path)
        except (LockError, UnreadableError, UnparsedError) as error:
            unreadable.append((file.path, str(error)))
    where = environment(application)
    for site in where.sites if where else ():
        from kiqdoctor.probes.packages.groups import as_locked
        from kiqdoctor.probes.packages.python import installed

        found += as_locked(installed(site, _shown(site, root)), found)
        sources.append(_shown(site, root))
    if not sources and not unreadable:
        raise AbsenceError("the application has no lock file, no requirements and no installed environment")
    return Packages(tuple(found), tuple(unreadable), tuple(sources))


def _readers(tree: Tree) -> list[tuple[File, Callable[[File], list[Package]]]]:
    """Those at the root; where there are none, the outermost below it, as in a repository of several."""
    found: list[tuple[File, Callable[[File], list[Package]]]] = []
    for folder in FOLDERS:
        above = tuple(f"{dirname(file.path)}/" for file, _ in found)
        found += [one for one in _readers_of(tree, folder) if not one[0].path.startswith(above)]
        if found and not folder:
            break
    return found


def _readers_of(tree: Tree, folder: str) -> list[tuple[File, Callable[[File], list[Package]]]]:
    from kiqdoctor.probes.packages import conda, python

    gems, tables, others, pins, asks, condas, locks = (
        tree.named(*(f"{folder}{name}" for name in names))
        for names in (GEMFILES, TABLES, OTHERS, REQUIREMENTS, ASKING, conda.NAMES, conda.LOCKS)
    )
    asking = {"pyproject.toml": python.pyproject, SETUP: python.setup_cfg, "Pipfile": python.pipenv}
    wanted = sorted(pins, key=_closeness)
    asked = (
        () if tables or others else [one for one in asks if one.name != SETUP or b"install_requires" in one.content()]
    )
    return [
        *((file, lambda file: _gems(file, tree)) for file in gems),
        *((file, python.lock) for file in tables),
        *((file, python.pipfile if file.name == PIPFILE else python.pylock) for file in others),
        *((file, lambda file: python.requirements(file, tree)) for file in wanted),
        *((file, asking[file.name]) for file in asked),
        *((file, conda.conda_lock) for file in locks),
        *((file, conda.environment_yml) for file in condas if not locks and _says(file, b"dependencies:")),
    ]


def _says(file: File, word: bytes) -> bool:
    """Whether it speaks of packages at all; one that cannot be read may."""
    try:
        return word in file.content()
    except UnreadableError:
        return True


def _closeness(file: File) -> tuple[bool, bool]:
    """Files that production installs from come first: those that say so, then those that say nothing else."""
    from kiqdoctor.probes.packages.groups import DEFAULT, of_file

    says_so = any(word in file.name for word in ("prod", "deploy"))
    return of_file(file.path) != DEFAULT, not says_so


def _gems(lock: File, tree: Tree) -> list[Package]:
    """A lock's gems, with the groups that the Gemfile beside it names."""
    from kiqdoctor.probes.packages.gemfile import groups_of
    from kiqdoctor.probes.packages.groups import grouped
    from kiqdoctor.probes.packages.ruby import needs_of

    found = gemfile_lock(lock.text(), lock.path)
    beside = tree.file(join(dirname(lock.path), GEMFILES[lock.name]))
    try:
        asked = groups_of(beside) if beside is not None else {}
    except (UnreadableError, UnparsedError):
        asked = {}
    return grouped(found, needs_of(lock.text()), asked)


def _shown(site: Path, root: Path) -> str:
    return str(site.relative_to(root)) if site.is_relative_to(root) else str(site)


@probe(Read("advisories/*.toml", "", "the doctor's own data"), lane=Lane.FILES)
def advisories(pack: Pack) -> Advisories:
    """The table of what is known about packages and threads."""
    import tomllib

    folder = pack.root / "packages" / "advisories"
    rows: list[Advisory] = []
    for file in sorted(folder.glob("*.toml")):
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        rows += [codec.typed(row, Advisory) for row in document.get("advisory", ())]
    if not rows:
        raise RefusalError(f"no advisories in {folder}", "a complete installation of kiqdoctor")
    return Advisories(tuple(sorted(rows, key=lambda row: (row.ecosystem, int(row.id[1:])))))
