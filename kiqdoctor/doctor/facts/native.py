"""Native extensions of the application's environments."""

import msgspec

from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class Extension:
    """One native file and what it links."""

    path: str
    package: str
    version: str
    needed: tuple[str, ...] = ()  # DT_NEEDED names
    missing: tuple[str, ...] = ()  # those that no loader path resolves
    sibling_only: tuple[str, ...] = ()  # resolved only by a bundled library of that SONAME (preloaded by the package)
    abi_tag: str = ""  # from the file name: cpython-311-x86_64-linux-gnu, abi3...
    machine: str = ""  # "" where its dynamic section could not be read
    problem: str = ""  # built for another interpreter, machine or C library
    bundled: bool = False  # a library in <package>.libs, not an extension module


@dataclass(frozen=True, slots=True)
class NativePackage:
    """A package with native parts. ``built_locally``: its wheel tag says it was compiled on a machine like this one."""

    ecosystem: str
    name: str
    version: str
    source: str
    built_locally: bool = False
    wheel_tag: str = ""
    free_threading: bool | None = None  # declared support; None = it does not say
    unopened: int = 0  # files that are there and were not read; each is named among the unreadable


@dataclass(frozen=True, slots=True)
class NativeCode:
    """The inventory. ``interpreter`` e.g. "cpython-311"; ``gil`` False on a free-threaded interpreter."""

    packages: tuple[NativePackage, ...] = ()
    extensions: tuple[Extension, ...] = ()
    environments: tuple[str, ...] = ()
    interpreter: str = ""
    gil: bool = True
    lock_only: tuple[str, ...] = ()  # gems known from the lock file alone, linkage not examined
    unreadable: tuple[tuple[str, str], ...] = ()


class Crash(msgspec.Struct, frozen=True, omit_defaults=True):
    """One crash in native code, as something that lasts tells it.

    ``at``: epoch seconds, or no later than that where it is not ``exact``. ``library``: the first in the stack that is
    neither the interpreter nor the C library. ``owner``: the living worker whose log or directory holds it.
    """

    source: str  # a path, or "coredumpctl"
    what: str  # "Segmentation fault", "SIGSEGV"
    at: float
    exact: bool = True
    pid: int | None = None
    program: str = ""
    library: str = ""
    owner: int | None = None
    in_tree: bool = False  # under the application's root


class Crashes(msgspec.Struct, frozen=True):
    """Crashes that logs, core files and systemd-coredump tell of; ``looked`` at these, and not at ``unread``."""

    all: tuple[Crash, ...] = ()
    looked: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
