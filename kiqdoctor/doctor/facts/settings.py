"""Which Redis each role of the application is told to use, as facts."""

from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class RedisSetting:
    """One place that says which Redis or namespace a role uses.

    ``role`` is "server" (configure_server, a worker's settings) or "client". ``url``, ``database`` and ``namespace``
    are canonical texts: a literal, or the expression's name ("ENV[REDIS_URL]", "constant REDIS"); None = not set here.
    ``unresolved`` says why it could not be followed.
    """

    role: str
    path: str
    line: int
    column: int = 1
    url: str | None = None
    database: str | None = None
    namespace: str | None = None
    pool_size: int | None = None
    unresolved: str = ""
    protocol: str = ""  # of Redis' replies, where it is said
    timeout_s: float | None = None  # that the network is given, where it is said
    language: str = "ruby"


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """All such places."""

    all: tuple[RedisSetting, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()  # path, reason
