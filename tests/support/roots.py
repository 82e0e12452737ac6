"""Roots of other Debian suites, built once a machine: newer Rubies, Redis, Valkey and Python than this host has.

What runs in one is an ordinary process of this host with another root: its pid, its loopback and the clock are ours. A
folder under the root holds what a test gives it, and is read from here; nothing stays mounted when the process is gone.
``python tests/support/roots.py`` builds what is missing and says what is there.
"""

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn, Protocol

import pytest

BUILDING: Final = 900  # seconds in which a mirror that answers has long given everything

# /proc is bound in a mount namespace of the process's own, so it goes when the process goes, killed or not.
ENTER: Final = (
    'mount --rbind /proc "$1/proc" && root=$1 && folder=$2 && shift 2 && exec chroot "$root" env -C "$folder"'
)
PRIVATE: Final = ("unshare", "--mount", "--propagation", "private")


class Place(Protocol):
    """Where a program of a test runs: on this host, or under another root."""

    def folder(self, prefix: str) -> Path:
        """A new folder that the program sees too; the caller removes it."""
        ...

    def command(self, words: Sequence[str], folder: Path) -> list[str]:
        """What starts this program there, in this folder, as the process that is started."""
        ...


class Here:
    """This host as it is."""

    def folder(self, prefix: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=prefix))

    def command(self, words: Sequence[str], folder: Path) -> list[str]:
        return ["env", "-C", str(folder), *words]


HERE: Final = Here()


@dataclass(frozen=True, slots=True)
class Root:
    """A whole system under a folder."""

    path: Path

    def folder(self, prefix: str) -> Path:
        return Path(tempfile.mkdtemp(prefix=prefix, dir=self.path / "tmp"))

    def inside(self, path: Path) -> str:
        """What a path under the root is called there."""
        return f"/{path.relative_to(self.path)}"

    def command(self, words: Sequence[str], folder: Path) -> list[str]:
        # The host's locale and temporary folder need not exist there.
        environ = ("-u", "TMPDIR", "-u", "LC_ALL", "LANG=C.UTF-8")
        enter = [*PRIVATE, "sh", "-c", f'{ENTER} "$@"', "enter", str(self.path), self.inside(folder)]
        return [*enter, *environ, *words]


@dataclass(frozen=True, slots=True)
class Suite:
    """A Debian suite with what the tests want of it."""

    name: str
    packages: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Another list of packages is another root."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        key = hashlib.sha256(" ".join(sorted(self.packages)).encode()).hexdigest()[:12]
        return cache / "kiqdoctor-tests" / f"{self.name}-{key}"


RUBY: Final = ("ruby-sidekiq", "ruby-sinatra", "ruby-rackup", "puma")
TRIXIE: Final = Suite("trixie", (*RUBY, "ruby-redis-namespace"))
SID: Final = Suite("sid", (*RUBY, "redis-server", "valkey-server", "python3", "python3-venv"))


class NotHereError(Exception):
    """This machine cannot have such a root; its text is the reason."""


@functools.cache
def missing(suite: Suite) -> str:
    """Why there is no such root here, once building it has been tried; empty where there is one."""
    if suite.path.is_dir():
        return _entered(Root(suite.path))
    try:
        _build(suite)
    except NotHereError as reason:
        return f"Debian {suite.name} cannot be had: {reason}"
    return _entered(Root(suite.path))


def require(suite: Suite) -> Root:
    """The root; where it cannot be had a skip with the reason, and in CI a failure, for a skipped proof is none."""
    if reason := missing(suite):
        absent(reason)
    return Root(suite.path)


def absent(reason: str) -> NoReturn:
    """This test's real part is not to be had here."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _entered(root: Root) -> str:
    """Why nothing can run there; empty where it can."""
    ran = subprocess.run(root.command(["true"], root.path / "tmp"), capture_output=True, text=True, check=False)
    return f"{root.path} cannot be entered: {ran.stderr.strip()[-200:]}" if ran.returncode else ""


def _build(suite: Suite) -> None:
    """Under a name of its own until it is whole, so that a half-built one is never used."""
    builder, mirror = _builder(), _mirror()
    suite.path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(suite):
        if suite.path.is_dir():
            return
        for left in suite.path.parent.glob(f"{suite.name}-*.part"):
            shutil.rmtree(left)
        part = suite.path.with_suffix(".part")
        words = [builder, "--variant=minbase", f"--include={','.join(suite.packages)}", suite.name, str(part), mirror]
        log = suite.path.with_suffix(".log")
        with log.open("wb") as out:
            ran = subprocess.run(
                ["timeout", "--kill-after=10", str(BUILDING), *PRIVATE, *words],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False,
            )  # fmt: skip
        if ran.returncode:
            shutil.rmtree(part, ignore_errors=True)
            raise NotHereError(f"debootstrap ended with {ran.returncode}: {_last_line(log)}")
        shutil.rmtree(part / "var/cache/apt/archives", ignore_errors=True)
        part.rename(suite.path)


def _builder() -> str:
    if os.geteuid() != 0:
        raise NotHereError("only root can build and enter it")
    builder = shutil.which("debootstrap")
    if builder is None:
        raise NotHereError("there is no debootstrap (Debian: debootstrap)")
    return builder


def _mirror() -> str:
    """The one that apt itself uses for this host's suite."""
    release = dict(line.split("=", 1) for line in _lines(["cat", "/etc/os-release"]) if "=" in line)
    codename = release.get("VERSION_CODENAME", "").strip('"')
    found = _lines(["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Codename: {codename}"])
    if not found:
        raise NotHereError(f"apt knows no mirror of the suite {codename!r} (apt-get update)")
    return found[0]


def _lines(words: Sequence[str]) -> list[str]:
    """What a program printed; nothing where it cannot run."""
    try:
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()
    except OSError:
        return []


def _last_line(log: Path) -> str:
    return next((line for line in reversed(log.read_text(errors="replace").splitlines()) if line.strip()), "")


@contextmanager
def _alone(suite: Suite) -> Iterator[None]:
    """Nobody else on this machine builds this suite meanwhile; a process that dies lets go."""
    with suite.path.parent.joinpath(f"{suite.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Build what is missing; 1 where something cannot be had."""
    status = 0
    for suite in (TRIXIE, SID):
        began = time.monotonic()
        reason = missing(suite)
        print(reason or f"{suite.name}: {suite.path} ({time.monotonic() - began:.0f} s)", flush=True)
        status |= bool(reason)
    return status


if __name__ == "__main__":
    sys.exit(main())
