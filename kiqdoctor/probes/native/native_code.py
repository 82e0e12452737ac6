"""Native extensions of the application's environments: Python by RECORD and ELF, Ruby by its installed gems."""

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import field, replace
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.native import Extension, NativeCode, NativePackage
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Application
from kiqdoctor.probes.native.elf import BeyondError, Elf, ElfError, read
from kiqdoctor.probes.native.loader import Loader
from kiqdoctor.probes.packages.environment import Environment, environment
from kiqdoctor.probes.tree.disk import beginning
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

MOST_FILES: Final = 20_000  # of all packages together
LARGEST_RECORD: Final = 16 * 1024 * 1024  # bytes; the largest wheels list 20,000 files in 2
LARGEST_TEXT: Final = 200_000  # bytes of METADATA and WHEEL; their headers come first
_LIBRARY: Final = regex(r"\.so(?:\.[0-9]+)*\Z")
_NAMED: Final = regex(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,200}")
GEMS_AS_OF: Final = "2026-11"
NATIVE_GEMS: Final = frozenset(
    {
        *("bcrypt", "bigdecimal", "bootsnap", "byebug", "cbor", "charlock_holmes", "curb", "debug", "date", "ed25519"),
        *(
            "eventmachine",
            "fast_blank",
            "ffi",
            "google-protobuf",
            "grpc",
            "hiredis",
            "hiredis-client",
            "http_parser.rb",
        ),
        *("io-console", "jaro_winkler", "json", "kgio", "levenshtein-ffi", "libxml-ruby", "mini_racer", "msgpack"),
        *("mysql2", "nio4r", "nokogiri", "oj", "openssl", "ox", "pg", "psych", "puma", "racc", "raindrops", "rbtree"),
        *("redcarpet", "rmagick", "rugged", "sassc", "snappy", "sqlite3", "stackprof", "stringio", "strscan"),
        *("therubyracer", "thin", "tiny_tds", "unf_ext", "unicorn", "websocket-driver", "yajl-ruby", "zstd-ruby"),
    }
)


@dataclass
class _Found:
    packages: list[NativePackage] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)
    sonames: set[str] = field(default_factory=set)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    files: int = 0

    def may_open(self) -> bool:
        """Whether one more file is looked at."""
        self.files += 1
        return self.files <= MOST_FILES


@probe(
    Read("site-packages/*.dist-info/RECORD, WHEEL, METADATA", "", "one read a distribution"),
    Read("ELF dynamic sections of *.so", "", "up to 20,000 files, some KiB of each"),
    Read("vendor/bundle, GEM_HOME, /var/lib/gems", "", "listings"),
    lane=Lane.FILES,
    deadline_s=60.0,
)
def native_code(application: Application, packages: Packages | Refused | Absent) -> NativeCode:
    """The inventory; nothing of the examined environment is run or loaded."""
    known = packages.all if isinstance(packages, Packages) else ()
    gems = [one for one in known if one.ecosystem == "ruby" and one.name != "ruby"]
    distributions = [one for one in known if one.ecosystem == "python" and not one.installed]
    where = environment(application)
    if where is None and not gems and not distributions:
        raise AbsenceError("the application has neither an installed environment nor a lock file")
    found = _Found()
    environments: list[str] = []
    lock_only: list[str] = []
    if where is not None:
        environments.append(str(where.root))
        _python(where, found)
    elif distributions:
        lock_only.append(f"{len(distributions)} Python distributions of {distributions[0].source}")
    if gems:
        lock_only += _ruby(application.root, gems, found, environments)
    extensions = tuple(_settled(one, found.sonames) for one in found.extensions)
    return NativeCode(
        packages=tuple(found.packages),
        extensions=extensions,
        environments=tuple(environments),
        interpreter=where.interpreter if where else "",
        gil=not (where and where.free_threaded),
        lock_only=tuple(lock_only),
        unreadable=tuple(found.unreadable),
    )


def _python(where: Environment, found: _Found) -> None:
    loader = Loader(tuple(_interpreter_libraries(where)))
    machine = _machine(where)
    for site in where.sites:
        for folder in sorted(site.glob("*.dist-info")):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            try:
                paths = list(_recorded(folder))
            except (OSError, csv.Error, UnicodeDecodeError) as error:
                found.unreadable.append((folder.name, f"its RECORD cannot be read: {clean(str(error))}"))
                continue
            natives = [path for path in paths if _is_library(path) and _inside(site / path, where)]
            if not natives:
                continue
            abis = {Path(path).name.partition(".")[0] for path in natives if _tag(path) == where.interpreter}
            examined = [_extension(site, path, name, version, loader, found) for path in natives]
            found.extensions += [_checked(one, where, machine, abis) for one in examined if one is not None]
            package = _package(folder, name, version, where)
            found.packages.append(replace(package, unopened=sum(one is None for one in examined)))


def _recorded(folder: Path) -> Iterator[str]:
    raw = beginning(folder / "RECORD", LARGEST_RECORD + 1)
    if len(raw) > LARGEST_RECORD:
        raise BeyondError(f"it holds more than {LARGEST_RECORD} bytes")
    yield from (row[0] for row in csv.reader(io.StringIO(raw.decode(), newline="")) if row)


def _is_library(path: str) -> bool:
    """``x.so`` and ``libx.so.1.2``; ``also.so.txt`` is none."""
    return _LIBRARY.search(path) is not None


def _inside(file: Path, where: Environment) -> bool:
    """A RECORD may name any path; what is judged is the environment's own."""
    return os.path.normpath(file).startswith(f"{os.path.normpath(where.root)}/")


def _package(folder: Path, name: str, version: str, where: Environment) -> NativePackage:
    tag = _field(folder / "WHEEL", "Tag")
    declares = "Programming Language :: Python :: Free Threading" in _text(folder / "METADATA")
    local = tag.rpartition("-")[2].startswith("linux_")
    return NativePackage("python", name, version, str(where.root), local, tag, declares or None)


def _field(path: Path, name: str) -> str:
    lines = (line.partition(": ") for line in _text(path).splitlines())
    return next((value for key, _, value in lines if key == name), "")


def _text(path: Path) -> str:
    try:
        return beginning(path, LARGEST_TEXT).decode("utf-8", "replace")
    except OSError:
        return ""


def _extension(site: Path, path: str, name: str, version: str, loader: Loader, found: _Found) -> Extension | None:
    """One file and what it links; None, and its name among the unreadable, where it was not read."""
    file = site / path
    try:
        if not found.may_open():
            raise BeyondError(f"more than {MOST_FILES} files are not opened")
        elf = read(file)
        missing = loader.missing(elf, file.parent)
    except ElfError as error:
        return Extension(path, name, version, problem=str(error))
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        if not os.path.exists(file):  # noqa: PTH110 - raises for no name at all
            return Extension(path, name, version, problem="RECORD names it, and it is not there")
        found.unreadable.append((path, (isinstance(error, OSError) and error.strerror) or str(error)))
        return None
    found.sonames.add(elf.soname or file.name)
    return _described(elf, path, name, version, missing)


def _described(elf: Elf, path: str, name: str, version: str, missing: tuple[str, ...]) -> Extension:
    bundled = ".libs/" in path or "/lib" in path.rpartition("/")[2][:4]
    return Extension(path, name, version, elf.needed, missing, abi_tag=_tag(path), machine=elf.machine, bundled=bundled)


def _tag(path: str) -> str:
    """``cpython-311`` of ``_x.cpython-311-x86_64-linux-gnu.so``, ``abi3`` of ``_x.abi3.so``."""
    parts = Path(path).name.split(".")
    tag = parts[1] if len(parts) > 2 and parts[-1] == "so" else ""  # noqa: PLR2004 - name, tag, so
    return "-".join(tag.split("-")[:2]) if tag.startswith("cpython-") else "abi3" if tag == "abi3" else ""


def _checked(one: Extension, where: Environment, machine: str, abis: set[str]) -> Extension:
    """With what is wrong about its machine or its interpreter, if anything is."""
    if one.problem:
        return one
    stem = Path(one.path).name.partition(".")[0]
    tag = one.abi_tag.rstrip("t")
    wrong_abi = tag.startswith("cpython-") and where.interpreter and tag != where.interpreter and stem not in abis
    if machine and one.machine != machine:
        text = f"built for {one.machine}, the environment is {machine}"
    elif wrong_abi:
        text = f"built for {one.abi_tag}, the environment is {where.interpreter}"
    else:
        text = ""
    return replace(one, problem=text)


def _settled(one: Extension, sonames: set[str]) -> Extension:
    """What only another bundled library of that name can serve is loaded by its package beforehand."""
    siblings = tuple(name for name in one.missing if name in sonames)
    return replace(one, missing=tuple(name for name in one.missing if name not in sonames), sibling_only=siblings)


def _interpreter_libraries(where: Environment) -> Iterator[Path]:
    for line in _text(where.root / "pyvenv.cfg").splitlines():
        key, _, value = line.partition("=")
        if key.strip() == "home":
            yield Path(value.strip()).parent / "lib"
    yield where.root / "lib"


def _machine(where: Environment) -> str:
    """The interpreter's own machine; this host's where it cannot be read."""
    for name in ("python3", "python"):
        try:
            return read((where.root / "bin" / name).resolve()).machine
        except (ElfError, OSError, RuntimeError):
            continue
    return os.uname().machine


def _ruby(root: Path, gems: list[Package], found: _Found, environments: list[str]) -> list[str]:
    """Installed gems with extensions; the names of those that only the lock file tells of."""
    loader = Loader()
    homes = [home for home in _gem_homes(root) if home.is_dir()]
    lock_only: list[str] = []
    for gem in gems:
        folders = [folder for home in homes for folder in _installed(home, gem)]
        files = sorted({file for folder in folders for file in folder.rglob("*.so")})
        native = bool(files) or bool(gem.platform) or gem.name in NATIVE_GEMS
        if not native:
            continue
        if not folders:
            lock_only.append(f"{gem.name} {gem.version}".strip())
        examined = [_extension(file.parent, file.name, gem.name, gem.version, loader, found) for file in files]
        found.extensions += [
            replace(one, problem=one.problem or _other_machine(one.machine)) for one in examined if one is not None
        ]
        unopened = sum(one is None for one in examined)
        found.packages.append(
            NativePackage("ruby", gem.name, gem.version, gem.source, wheel_tag=gem.platform, unopened=unopened)
        )
    environments += [str(home) for home in homes] if len(lock_only) < len(found.packages) else []
    return lock_only


def _other_machine(machine: str) -> str:
    here = os.uname().machine
    return "" if machine == here else f"built for {machine}, this host is {here}"


def _gem_homes(root: Path) -> Iterator[Path]:
    yield from sorted(root.glob("vendor/bundle/ruby/*"))
    for name in ("GEM_HOME", "GEM_PATH", "BUNDLE_PATH"):
        for part in filter(None, os.environ.get(name, "").split(":")):
            yield Path(part)
    yield from sorted(Path("/var/lib/gems").glob("*"))


def _installed(home: Path, gem: Package) -> Iterator[Path]:
    named = f"{gem.name}-{gem.version}" + (f"-{gem.platform}" if gem.platform else "")
    if not _NAMED.fullmatch(named):
        return  # a lock file may hold anything: what leads elsewhere, fits many, or is too long for a name
    yield from (folder for folder in home.glob(f"extensions/*/*/{named}") if folder.is_dir())
    if (home / "gems" / named / "lib").is_dir():
        yield home / "gems" / named / "lib"
