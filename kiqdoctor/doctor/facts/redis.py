"""The Redis server, as facts."""

from dataclasses import dataclass, field

from kiqdoctor.wire.numbers import whole


@dataclass(frozen=True, slots=True)
class Connection:
    """How connecting went, never refused. ``failed_step``: "", dns, tcp, tls, auth, ping, limit, loading, select;
    connecting where the time for all of them was up.

    ``broken``: it was there, and went away while it was read: why, and at which command.
    """

    url: str  # without user, password and query
    failed_step: str = ""
    error: str = ""
    tries: int = 1
    named: bool = True  # by option or environment; False for the default address
    broken: str = ""


@dataclass(frozen=True, slots=True)
class Server:
    """INFO, all sections, as text by field name. A field that the server does not have is absent."""

    info: dict[str, str] = field(default_factory=dict)

    def number(self, name: str) -> int | None:
        """The field as an integer; None where it is absent, empty, negative one or no number."""
        return whole(self.info.get(name))

    @property
    def keyspace(self) -> dict[int, int]:
        """Database number -> number of keys."""
        found = {}
        for name, text in self.info.items():
            number = whole(name[2:]) if name[:2] == "db" else None
            counts = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
            if number is not None and (keys := whole(counts.get("keys", "0"))) is not None:
                found[number] = keys
        return found


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


@dataclass(frozen=True, slots=True)
class ServerTime:
    """Redis' clock (epoch seconds) against ours at the middle of the round trip."""

    now: float
    local_now: float
    round_trip_s: float = 0.0


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
