"""Native extensions: what there is, and what cannot load.

## Why it hurts
Only native code can crash a worker's whole process, with every job in it. An extension that was built for another
interpreter or whose library is gone fails at the first job that needs it, not at the deploy.

In the log: `ImportError: libX.so.1: cannot open shared object file`, `undefined symbol`, Ruby's `LoadError`; when one
crashes, `Fatal Python error: Segmentation fault` or `[BUG] Segmentation fault`, and after that no line at all.

## How it is found
Formula: fails if an extension's machine or interpreter != this environment's, or if needed libraries - provided ones is
not empty; without the GIL also if a package does not declare that it works so

Python: each distribution's RECORD names its shared objects; their ELF dynamic sections say what they need and for
which machine, their names for which interpreter. Ruby: gems with extensions, installed or in the lock file. A
library counts as missing when neither the file's own paths nor the loader's folders nor another bundled library
serve it.

## When it is wrong
A library that a package loads by hand beforehand, or that a driver brings on the target host.

## Confirm by hand
`ldd FILE`, and `python -c 'import PACKAGE'` in that environment.

## How to fix
Reinstall the package for this interpreter and machine, or install the library; upgrade the oldest native packages
first when a worker crashes.

Risk: a reinstalled package may come in a newer version: keep the pinned one (`pip install --force-reinstall --no-deps
NAME==VERSION`).

Undo: reinstall from the lock file.

## Unknown when
There is only a lock file: what is linked cannot be examined. Name the environment by --python.

## Source
ELF and the dynamic loader's rules; the wheel format; netCDF4's and PyMuPDF's notes on threads without the GIL.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.native import Extension, NativeCode, NativePackage

UNSAFE_WITHOUT_GIL = {"netcdf4", "pymupdf"}
SHOWN = 60


@check("NAT001", severity=Severity.HIGH)
def native_inventory(native: NativeCode) -> Iterator[Verdict]:
    for extension in native.extensions:
        if extension.problem:
            yield _broken(extension, extension.problem)
        elif extension.missing:
            yield _broken(extension, f"it needs {', '.join(extension.missing)}, which nothing provides")
    if not native.gil:
        yield from (
            _without_gil(one) for one in native.packages if one.ecosystem == "python" and not one.free_threading
        )
    if native.lock_only:
        names = ", ".join(native.lock_only[:10]) + (", ..." if len(native.lock_only) > 10 else "")  # noqa: PLR2004
        yield Unknown(
            f"what is linked was not examined, for nothing is installed here: {names}",
            "--python PATH, or vendor/bundle",
        )
    for path, reason in native.unreadable[:SHOWN]:
        yield Unknown(f"{path}: {reason}", "a readable environment")
    if len(native.unreadable) > SHOWN:
        yield Unknown(
            f"{counted(len(native.unreadable) - SHOWN, 'further file was', 'further files were')} not read",
            "a readable environment",
        )
    yield from _inventory(native)


def _inventory(native: NativeCode) -> Iterator[Evidence]:
    files: dict[str, list[Extension]] = {}
    for extension in native.extensions:
        files.setdefault(extension.package, []).append(extension)
    for package in native.packages[:SHOWN]:
        told = _told(package, files.get(package.name, []))
        yield Evidence(f"{package.name} {package.version}", told, package.source)
    yield Evidence("native packages", str(len(native.packages)), ", ".join(native.environments) or "lock files")


def _told(package: NativePackage, files: list[Extension]) -> str:
    """What a package links; of a file that was not read nothing is said but that it was not."""
    unread = package.unopened + sum(not one.machine for one in files)
    count = len(files) + package.unopened
    if not count:
        return "no file of it was seen here; what it links is unknown"
    built = ", built on a machine like this" if package.built_locally else ""
    names = {name for one in files for name in one.needed if not name.startswith(("libc.", "ld-"))}
    if unread:
        known = f"{', '.join(sorted(names))} and what else is unknown" if names else "what is unknown"
        return f"{counted(count, 'file')}{built}, {unread} of them not read; links {known}"
    return f"{counted(count, 'file')}{built}; links {', '.join(sorted(names)) or 'nothing more'}"


def _broken(extension: Extension, what: str) -> Finding:
    return Finding(
        f"package:{extension.package}",
        f"{extension.package} {extension.version} cannot load {extension.path}: {what}",
        f"Reinstall {extension.package} for this interpreter and machine, or install the library that it needs.",
        (
            Evidence("file", extension.path),
            Evidence("needs", ", ".join(extension.needed) or "?", "ELF dynamic section"),
        ),
        key=extension.path.rpartition("/")[2].partition(".")[0],
    )


def _without_gil(package: NativePackage) -> Finding:
    known = package.name.lower() in UNSAFE_WITHOUT_GIL
    what = "is known to crash" if known else "does not declare that it works"
    return Finding(
        f"package:{package.name}",
        f"{package.name} {package.version} {what} on a free-threaded interpreter",
        "Run it with the GIL (PYTHON_GIL=1), or in a process of its own.",
        (Evidence("wheel", package.wheel_tag or "?", package.source),),
        Severity.HIGH if known else Severity.HIGH.milder,
        key="free-threading",
    )
