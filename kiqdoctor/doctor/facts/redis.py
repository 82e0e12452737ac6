"""The Redis server, as facts."""

from dataclasses import field

import msgspec

from kiqdoctor.records import dataclass
from kiqdoctor.wire.numbers import whole


@dataclass(frozen=True, slots=True)
class Connection:
    """How connecting went, never refused. ``failed_step``: "", dns, tcp, tls, auth, ping, limit, loading, select;
    connecting where the time for all of them was up.

    ``broken``: it was there, and went away while it was read: why, and at which command. ``loading_s``: for how
    long the server has been loading its data, where that is the step that failed.
    """

    url: str  # without user, password and query
    failed_step: str = ""
    error: str = ""
    tries: int = 1
    named: bool = True  # by option or environment; False for the default address
    broken: str = ""
    embedded: bool = False  # started for this examination, and gone after it
    loading_s: int | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """INFO, as text by field name: the default sections, and of the commands' counts those that destroy data or reset
    what is counted. A field that the server does not have is absent.
    """

    info: dict[str, str] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """The field as an integer; None where it is absent, empty, negative one or no number."""
        return whole(self.info.get(name))

    @property
    def keyspace(self) -> dict[int, int]:
        """Database number -> number of keys."""
        found = {}
        for name in self.info:
            number = whole(name[2:]) if name[:2] == "db" else None
            if number is not None and (keys := self.part(name, "keys", 0)) is not None:
                found[number] = keys
        return found

    @property
    def version(self) -> tuple[int, ...]:
        """What it says that it is compatible with, as numbers; () where it does not say."""
        words = self.info.get("redis_version", "").split(".")
        return tuple(number for word in words if (number := whole(word)) is not None)

    @property
    def replica(self) -> bool:
        """Whether it follows a primary; Dragonfly has a word of its own for it."""
        return self.info.get("role") in {"slave", "replica"}

    @property
    def run(self) -> str | None:
        """What changes with each start, after which it counts from nought."""
        return self.info.get("run_id")

    def part(self, name: str, key: str, missing: int | None = None) -> int | None:
        """A number within a field of the shape ``key=number,key=number``."""
        parts = dict(part.split("=", 1) for part in self.info.get(name, "").split(",") if "=" in part)
        return whole(parts[key]) if key in parts else missing

    def errors(self, kind: str) -> int | None:
        """Errors of this kind that it answered so far; a server that counts them names only those that there were."""
        if self.number("total_error_replies") is None:
            return None
        return self.part(f"errorstat_{kind}", "count", 0)

    def calls(self, command: str) -> int | None:
        """How often a command was called; None where calls are not counted."""
        return self.part(f"cmdstat_{command}", "calls", 0) if "cmdstat_info" in self.info else None


@dataclass(frozen=True, slots=True)
class ClientLimit:
    """The number of clients that the server accepts, and who says so."""

    limit: int
    source: str  # "INFO clients", "CONFIG GET maxclients", "--redis-limit"


@dataclass(frozen=True, slots=True)
class Client:
    """One line of CLIENT LIST."""

    id: int
    address: str
    name: str = ""
    age_s: int = 0
    idle_s: int = 0
    flags: str = "N"
    database: int = 0
    command: str = ""
    user: str = ""
    library: str = ""
    server: str = ""  # the server's own end of it (laddr)
    argument_bytes: int = 0  # of its command's words together, while that waits; 0 where the server does not tell

    @property
    def blocked(self) -> bool:
        """Waiting in a blocking command right now (flag b); ``cmd=brpop`` without it is history."""
        return "b" in self.flags

    @property
    def host(self) -> str:
        """The address without its port."""
        return self.address.rpartition(":")[0]


@dataclass(frozen=True, slots=True)
class Clients:
    """CLIENT LIST, our own connection left out."""

    all: tuple[Client, ...] = ()


APART = 5.0  # seconds between two clocks, by which an age may be wrong unsaid


@dataclass(frozen=True, slots=True)
class ServerTime:
    """Redis' clock (epoch seconds) against ours at the middle of the round trip."""

    now: float
    local_now: float
    round_trip_s: float = 0.0

    @property
    def ahead_s(self) -> float:
        """How far Redis' clock is ahead of ours, below 0 behind it."""
        return self.now - self.local_now

    @property
    def apart(self) -> bool:
        """Whether the two differ by more than ages can bear, beyond what the round trip hides."""
        return abs(self.ahead_s) - self.round_trip_s > APART


@dataclass(frozen=True, slots=True)
class KeySize:
    """What one key takes, as Redis estimates it, and how many members it has."""

    name: str
    size_bytes: int
    members: int


@dataclass(frozen=True, slots=True)
class LargestKeys:
    """The examined namespace's sets and longest queues, the largest first."""

    all: tuple[KeySize, ...] = ()


@dataclass(frozen=True, slots=True)
class MemoryCeiling:
    """How much the host lets the server have, and what says so. Absent where it runs elsewhere."""

    limit_bytes: int
    source: str  # "MemTotal", or a cgroup's file


class Configuration(msgspec.Struct, frozen=True):
    """CONFIG GET by name. A setting that the server does not know, or does not tell, is absent."""

    settings: dict[str, str] = {}

    def number(self, name: str) -> int | None:
        """The setting as a number; None where it is absent or none."""
        return whole(self.settings.get(name))


class Greeting(msgspec.Struct, frozen=True):
    """What HELLO 3 is answered, with which Sidekiq begins from 7 on. ``refusal`` "": RESP3 is spoken."""

    refusal: str = ""


class Pings(msgspec.Struct, frozen=True):
    """How long PING takes, in ms, one after the other; ``own_ms``: the same work without a server, for our own lag."""

    round_trips_ms: tuple[float, ...] = ()
    own_ms: tuple[float, ...] = ()


class SlowCommand(msgspec.Struct, frozen=True):
    """One entry of SLOWLOG: the command without its values, when (epoch seconds), how long, and who sent it."""

    command: str
    at: float
    took_us: int
    client: str = ""


class SlowCommands(msgspec.Struct, frozen=True):
    """The newest entries of SLOWLOG."""

    calls: tuple[SlowCommand, ...] = ()


class Exposure(msgspec.Struct, frozen=True):
    """Who gets in. ``peer`` is the server's address as we reach it, "" over a unix socket.

    ``open``: somebody without a password is answered; None: that could not be tried, for the reason in ``answer``.
    """

    peer: str = ""
    encrypted: bool = False
    open: bool | None = None
    answer: str = ""
