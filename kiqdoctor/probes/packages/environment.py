"""Which Python environment is examined: the one that was named, else the application's; never the doctor's own."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from kiqdoctor.doctor.tools import Application
from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class Environment:
    """An environment's folder, its site-packages, and its interpreter as ``cpython-311``, "" where it does not say."""

    root: Path
    sites: tuple[Path, ...]
    interpreter: str
    free_threaded: bool = False


def environment(application: Application, environ: Mapping[str, str] = os.environ) -> Environment | None:
    """``--python``, PATH's ``.venv``, then ``VIRTUAL_ENV``; None where there is none of them."""
    candidates = [application.python, application.root / ".venv"]
    if environ.get("VIRTUAL_ENV") and Path(environ["VIRTUAL_ENV"]).resolve() != Path(sys.prefix).resolve():
        candidates.append(Path(environ["VIRTUAL_ENV"]))
    for candidate in candidates:
        if candidate is not None and (found := _at(candidate)) is not None:
            return found
    return None


def _at(path: Path) -> Environment | None:
    """An interpreter, an environment's folder or a site-packages folder."""
    root = path.parent.parent if path.is_file() else path
    if root.name in {"site-packages", "dist-packages"}:
        return Environment(root, (root,), _interpreter(root))
    sites = tuple(sorted(site for lib in ("lib", "lib64") for site in root.glob(f"{lib}/python3*/site-packages")
                         if not (lib == "lib64" and (root / "lib64").is_symlink())))  # fmt: skip
    if not sites:
        return None
    return Environment(root, sites, _interpreter(sites[0]), sites[0].parent.name.endswith("t"))


def _interpreter(site: Path) -> str:
    name = site.parent.name.removeprefix("python").rstrip("t")
    major, _, minor = name.partition(".")
    return f"cpython-{major}{minor}" if major.isdigit() and minor.isdigit() else ""
