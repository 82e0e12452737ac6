"""What the composition root hands to probes: where to look, never what to think of it."""

from collections.abc import Sequence
from dataclasses import field
from pathlib import Path
from typing import Any, Protocol

from kiqdoctor.records import dataclass

Reply = Any  # bytes, int, None, a list of replies, or an Exception that the server answered: redis-py's own shapes


class Redis(Protocol):
    """The doctor's read-only door to one Redis; it counts what passes and refuses whatever writes."""

    namespace: str | None
    database: int
    client_id: int | None

    def ask(self, *command: str | bytes | float) -> Reply:
        """One command; raises ``RefusalError`` where the server refuses it."""

    def ask_all(self, commands: Sequence[Sequence[str | bytes | float]]) -> list[Reply]:
        """Many commands in one round trip; a refused one comes back as a ``Refused`` in its place."""


class Doorstep(Protocol):
    """Where the examined Redis is entered from: its address, and what somebody without a password is answered."""

    peer: str
    encrypted: bool

    def knock(self) -> tuple[bool | None, str]:
        """Whether PING is answered without a password, None where that could not be tried; and the answer."""


@dataclass(frozen=True, slots=True)
class Application:
    """The tree to examine: its root, and the interpreter or environment that was named (``--python``)."""

    root: Path
    python: Path | None = None


@dataclass(frozen=True, slots=True)
class Host:
    """This machine: where its /proc is."""

    proc: Path = Path("/proc")


@dataclass(frozen=True, slots=True)
class Pack:
    """Where our own checks lie, and beside them the tables that they judge by."""

    root: Path


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line adds. ``deep``: probes may also take what costs more, or touch processes (thread dumps)."""

    redis_limit: int | None = None
    db_limit: int | None = None
    show_args: bool = False
    required: tuple[str, ...] = ()
    deep: bool = False


@dataclass(frozen=True, slots=True)
class Web:
    """A web UI to visit: its root without credentials, those that were given, whether one POST may be made."""

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    post: bool = False
