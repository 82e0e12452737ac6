"""How the application's own files start workers and web servers, as facts."""

from kiqdoctor.records import dataclass


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
    redis_clients: int | None = None  # what the ordered plan's Redis accepts; None = not known
    redis_plan: str = ""  # which plan, and who says so


@dataclass(frozen=True, slots=True)
class Start:
    """One setting of a server or a command, by name ("gunicorn:preload_app").

    ``forks``: processes come of it that inherit what was loaded before.
    """

    name: str
    path: str
    line: int = 1
    forks: bool = False


@dataclass(frozen=True, slots=True)
class Starts:
    """How the application's processes are started, as far as it decides what a fork inherits."""

    all: tuple[Start, ...] = ()


@dataclass(frozen=True, slots=True)
class ScheduleFile:
    """A file of periodic jobs, by the scheduler that loads it (``kind``), and their names."""

    path: str
    kind: str
    entries: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schedules:
    """Every file of periodic jobs of the application."""

    all: tuple[ScheduleFile, ...] = ()
