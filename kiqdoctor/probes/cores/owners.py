"""Which package a file on disk belongs to: Python's RECORDs, a gem's folder, Debian's lists, Python itself."""

import csv
import io
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.cores import Owner
from kiqdoctor.probes.tree.disk import beginning
from kiqdoctor.regex import regex

LARGEST: Final = 16 * 1024 * 1024  # bytes of one list
MOST: Final = 10_000  # packages
STATUS: Final = 64 * 1024 * 1024  # bytes of dpkg's status
HEAD: Final = 64 * 1024  # bytes of METADATA: its headers come first
MADE_UP: Final = ("/proc", "/sys", "/dev")
NOWHERE: Final = Path("/dev/null/nowhere")  # which no file system has
SITE: Final = regex(r"(?P<site>.*/(?:site|dist)-packages)/(?P<rest>.+)", re.DOTALL)
GEM: Final = regex(
    r".*/(?:gems|extensions/[^/]+/[^/]+)/(?P<name>[A-Za-z0-9][\w.-]*?)-(?P<version>\d[\w.]*)(?:-[\w.-]+)?/.+", re.DOTALL
)
STANDARD: Final = regex(r".*/lib(?:64)?/python(?P<version>3\.\d+)t?/lib-dynload/[^/]+", re.DOTALL)


def owner(path: str, root: Path = Path("/")) -> Owner | None:
    """``path`` as the process saw it, whose root is ``root`` here; None where no list names it."""
    return _distribution(path, root) or _gem(path) or _debian(path, root) or _standard(path)


def beneath(path: str, root: Path) -> Path:
    """That file here; nowhere, where a link leads out of ``root``, or to what the kernel makes up."""
    return _within(root / path.lstrip("/"), root)


def _within(file: Path, root: Path) -> Path:
    real, base = Path(os.path.realpath(file)), Path(os.path.realpath(root))
    return file if real.is_relative_to(base) and not any(map(real.is_relative_to, MADE_UP)) else NOWHERE


def _distribution(path: str, root: Path) -> Owner | None:
    found = SITE.fullmatch(path)
    if found is None:
        return None
    wanted, site = found["rest"], beneath(found["site"], root)
    for number, folder in enumerate(sorted(site.glob("*.dist-info"))):
        raw = _read(folder / "RECORD", LARGEST, root) if number < MOST else None
        if raw and wanted.encode() in raw and wanted in _recorded(raw):
            return _named(folder, root)
    return None


def _recorded(raw: bytes) -> Iterator[str]:
    try:
        yield from (row[0] for row in csv.reader(io.StringIO(raw.decode("utf-8", "replace"), newline="")) if row)
    except csv.Error:
        return


def _named(folder: Path, root: Path) -> Owner:
    name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
    head = _read(folder / "METADATA", HEAD, root).decode("utf-8", "replace").partition("\n\n")[0]
    told = next((line[6:].strip() for line in head.splitlines() if line.startswith("Name: ")), "")
    return Owner("python", told or name, version)


def _gem(path: str) -> Owner | None:
    found = GEM.fullmatch(path)
    return Owner("ruby", found["name"], found["version"]) if found else None


def _standard(path: str) -> Owner | None:
    """A module of Python's own, of one that no package list names."""
    found = STANDARD.fullmatch(path)
    return Owner("python", "Python", found["version"]) if found else None


def _debian(path: str, root: Path) -> Owner | None:
    # Since /usr took over /bin and /lib, lists may name either place.
    aliases = {path, path.removeprefix("/usr") if path.startswith("/usr/lib") else f"/usr{path}"}
    wanted = [f"\n{one}\n".encode() for one in aliases]
    for number, file in enumerate(beneath("/var/lib/dpkg/info", root).glob("*.list")):
        raw = b"\n" + _read(file, LARGEST, root) if number < MOST else b""
        if any(one in raw for one in wanted):
            name = file.name.removesuffix(".list").partition(":")[0]
            return Owner("debian", name, _version(name, root))
    return None


def _version(name: str, root: Path) -> str:
    raw = b"\n\n" + _read(beneath("/var/lib/dpkg/status", root), STATUS, root)
    stanza = raw.partition(f"\n\nPackage: {name}\n".encode())[2].partition(b"\n\n")[0]
    lines = (line for line in stanza.decode("utf-8", "replace").splitlines() if line.startswith("Version: "))
    return next(lines, "").removeprefix("Version: ")


def _read(file: Path, most: int, root: Path) -> bytes:
    try:
        return beginning(_within(file, root), most)
    except OSError:
        return b""
