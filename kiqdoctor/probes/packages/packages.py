"""The application's packages, from lock files and installed environments; and the advisories about packages."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import msgspec

from kiqdoctor.doctor.facts.packages import Advisories, Advisory, Package, Packages
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Application, Pack
from kiqdoctor.probes.packages.environment import environment
from kiqdoctor.probes.packages.ruby import LockError, gemfile_lock
from kiqdoctor.probes.tree.files import content


@probe(
    Read("Gemfile.lock, requirements*.txt, uv.lock, poetry.lock, pdm.lock, pyproject.toml", "", "small"),
    Read("site-packages/*.dist-info", "", "one listing; no interpreter is run"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def packages(application: Application) -> Packages:
    """Everything resolved, each with the file or environment that names it."""
    root = application.root
    found: list[Package] = []
    sources: list[str] = []
    unreadable: list[tuple[str, str]] = []
    for path, read in _files(root):
        name = str(path.relative_to(root))
        try:
            found += read(path)
            sources.append(name)
        except (LockError, OSError) as error:
            unreadable.append((name, str(error)))
    where = environment(application)
    for site in where.sites if where else ():
        from kiqdoctor.probes.packages.python import installed

        found += installed(site, _shown(site, root))
        sources.append(_shown(site, root))
    if not sources and not unreadable:
        raise AbsenceError("the application has no lock file, no requirements and no installed environment")
    return Packages(tuple(found), tuple(unreadable), tuple(sources))


def _files(root: Path) -> list[tuple[Path, Callable[[Path], list[Package]]]]:
    from kiqdoctor.probes.packages import python

    readers: list[tuple[Path, Callable[[Path], list[Package]]]] = [
        (root / name, lambda path: gemfile_lock(content(path).decode("utf-8", "replace"), path.name))
        for name in ("Gemfile.lock", "gems.locked")
    ]
    locks = [root / name for name in ("uv.lock", "poetry.lock", "pdm.lock")]
    readers += [(path, lambda path: python.lock(path, root)) for path in locks]
    wanted = sorted({*root.glob("requirements*.txt"), *root.glob("requirements/*.txt")})
    readers += [(path, lambda path: python.requirements(path, root)) for path in wanted]
    if not any(path.exists() for path in locks):
        readers.append((root / "pyproject.toml", lambda path: python.pyproject(path, root)))
    return [(path, read) for path, read in readers if path.exists()]


def _shown(site: Path, root: Path) -> str:
    return str(site.relative_to(root)) if site.is_relative_to(root) else str(site)


@probe(Read("advisories/*.toml", "", "the doctor's own data"), lane=Lane.FILES)
def advisories(pack: Pack) -> Advisories:
    """The table of what is known about packages and threads."""
    folder = pack.root / "packages" / "advisories"
    rows: list[Advisory] = []
    for file in sorted(folder.glob("*.toml")):
        document = tomllib.loads(file.read_text(encoding="utf-8"))
        rows += [msgspec.convert(row, Advisory) for row in document.get("advisory", ())]
    if not rows:
        raise RefusalError(f"no advisories in {folder}", "a complete installation of kiqdoctor")
    return Advisories(tuple(sorted(rows, key=lambda row: (row.ecosystem, int(row.id[1:])))))
