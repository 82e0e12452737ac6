"""The pure tests on a Python that only a root of another suite has: ``python tests/support/pythons.py WHEEL``.

pip runs here, for only here it is configured; it takes wheels alone, so a dependency that has none is named by it.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from typing import Final

import roots
from packaging.requirements import Requirement
from roots import SID, Root

CHECKOUT: Final = Path(__file__).parents[2]
EXTRAS: Final = ("", "test", "browser", "embedded")


def requirements(wheel: Path, version: str) -> list[str]:
    """What a wheel and its extras need on this Python: pip itself asks the Python that it runs on."""
    with zipfile.ZipFile(wheel) as opened:
        [name] = [name for name in opened.namelist() if name.endswith(".dist-info/METADATA")]
        told = message_from_bytes(opened.read(name)).get_all("Requires-Dist") or []
    return sorted(set(_plain(map(Requirement, map(str, told)), version)))


def _plain(told: Iterator[Requirement], version: str) -> Iterator[str]:
    for one in told:
        there = {"python_version": version, "python_full_version": f"{version}.0"}
        if one.name != "kiqdoctor" and (
            one.marker is None or any(one.marker.evaluate({**there, "extra": extra}) for extra in EXTRAS)
        ):
            one.marker = None
            yield str(one)


def run(root: Root, wheel: Path) -> int:
    """pytest's exit status there."""
    folder = root.folder("test-python-")
    site, checkout = folder / "site", folder / "checkout"
    try:
        version = _told(root, folder, "import sys; print('%d.%d' % sys.version_info[:2])")
        print(f"the pure tests on Python {_told(root, folder, 'import sys; print(sys.version)')}", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site), "--only-binary=:all:"]
        wanted = [*requirements(wheel, version), str(wheel)]
        subprocess.run([*pip, "--python-version", version, "--implementation", "cp", *wanted], check=True)
        _copy(checkout)
        words = [
            *("env", f"PYTHONPATH={root.inside(site)}", f"HOME={root.inside(folder)}", "CI=true"),
            f"TMPDIR={root.inside(folder)}",
            *("python3", "-P", "-m", "pytest", "-q", "-o", "pythonpath=", "-p", "no:cacheprovider", "-m", "not real"),
        ]
        return subprocess.run(root.command(words, checkout), check=False).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _told(root: Root, folder: Path, code: str) -> str:
    words = root.command(["python3", "-c", code], folder)
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def _copy(to: Path) -> None:
    """All files of the checkout that git does not ignore."""
    words = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    told = subprocess.run(words, cwd=CHECKOUT, capture_output=True, check=True).stdout
    for name in map(os.fsdecode, filter(None, told.split(b"\0"))):
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        if (CHECKOUT / name).is_file():
            shutil.copy(CHECKOUT / name, to / name)


def main() -> int:
    if reason := roots.missing(SID):
        print(reason)
        return 1
    return run(Root(SID.path), Path(sys.argv[1]).absolute())


if __name__ == "__main__":
    sys.exit(main())
