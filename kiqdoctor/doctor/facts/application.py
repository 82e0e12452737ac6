"""The application's configuration: Ruby and Python, as written in its files."""

from dataclasses import dataclass


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
    language: str = "ruby"


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """All such places."""

    all: tuple[RedisSetting, ...] = ()
    unreadable: tuple[tuple[str, str], ...] = ()  # path, reason


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """One worker command or file (config/sidekiq.yml, a Procfile line): its threads, queues, number of processes."""

    path: str
    line: int = 1
    concurrency: int | None = None
    capsules: tuple[tuple[str, int], ...] = ()
    queues: tuple[str, ...] = ()
    processes: int | None = None  # replicas; None = the file does not say
    language: str = "ruby"


@dataclass(frozen=True, slots=True)
class WebConfig:
    """One web server's command or file: processes and threads that may push jobs."""

    path: str
    line: int = 1
    processes: int | None = None
    threads: int | None = None
    server: str = ""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What the application's files say about how many processes run."""

    workers: tuple[WorkerConfig, ...] = ()
    webs: tuple[WebConfig, ...] = ()
    surge: bool = False  # old and new run together at a deploy
    surge_source: str = ""
    unreadable: tuple[tuple[str, str], ...] = ()
