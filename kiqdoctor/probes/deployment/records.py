"""What the files of a deployment say, one record a statement; what follows from all of them is `derived`."""

from typing import Final

from kiqdoctor.probes.deployment.amounts import Amount
from kiqdoctor.records import dataclass

PART: Final = ":"  # between a unit and one of several things that it starts
EACH: Final = "*"  # the unit of what is said about all of them

Environment = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a unit is ended, as far as one file says it. ``before_s``: what a hook takes of the time before TERM comes.

    ``grace_s`` None: the platform's own default counts, unless ``untold``: it is set, and what to is not in the file.
    ``hook``: what runs before its signal comes.
    """

    path: str
    line: int
    platform: str
    grace_s: float | None = None
    before_s: float = 0.0
    signal: str = ""
    mode: str = ""  # systemd's KillMode
    init: bool = False  # something that passes signals on is the first process
    untold: bool = False
    hook: str = ""
    hook_path: str = ""
    hook_line: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """Something that is started, as far as one file tells: other files may say the rest about the same ``unit``.

    What a file without ``words`` says about a unit is said of all its parts (``UNIT:PART``), about `EACH` of all units.
    ``words`` is what is executed, () where this file does not say; a shell's line is ``sh -c LINE``. ``unsaid`` is how
    many run where no file says it.
    """

    unit: str
    path: str
    line: int = 1
    words: tuple[str, ...] = ()
    replicas: int | None = None
    unsaid: int | None = None
    environment: Environment = ()
    surge: str = ""  # why old and new run together at a deploy
    ending: Ending | None = None
    trial: str = ""  # why it is how somebody develops, and no production
    cores: float | None = None  # that it may use
    further: tuple[str, ...] = ()  # variables that it gets from elsewhere
    closed: bool = False  # its variables are all that it gets, but for those of its image
    resets: frozenset[str] = frozenset()  # keys of which what less particular files say does not count
    extends: tuple[str, str] | None = None  # file and unit that it begins as


@dataclass(frozen=True, slots=True)
class ServerFile:
    """A web server's own configuration. ``preload``: the line that loads the application before the fork, or 0."""

    path: str
    processes: Amount | None = None
    threads: Amount | None = None
    preload: int = 0
    own_threads: bool = True  # whether threads of the application run; uWSGI's do not unless it is told


@dataclass(frozen=True, slots=True)
class WorkerFile:
    """Sidekiq's own configuration file; ``sections`` are those of its environments."""

    path: str
    concurrency: Amount | None = None
    capsules: tuple[tuple[str, Amount | None], ...] = ()
    queues: tuple[str, ...] = ()
    timeout: Amount | None = None
    sections: tuple[tuple[str, "WorkerFile"], ...] = ()


@dataclass(frozen=True, slots=True)
class InCode:
    """Threads that an initializer sets, which come after every other word."""

    path: str
    line: int
    concurrency: Amount | None = None
    capsule: str = ""  # whose concurrency it is; "" = the default one's


@dataclass(frozen=True, slots=True)
class Ordered:
    """Something that a platform's file orders, as the provider calls it (``heroku-redis:mini``)."""

    plan: str
    path: str


Record = Ordered | Started | ServerFile | WorkerFile | InCode
