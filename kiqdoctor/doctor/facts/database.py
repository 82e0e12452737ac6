"""Pools of database connections, and what the server accepts, as the application's files say."""

import msgspec


class Pool(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The pool of one kind of process: ``size`` connections at most for ``threads``, in ``processes``.

    None: not known; ``unresolved`` says why the size is not. ``worker`` names the command that starts the process.
    """

    path: str
    line: int
    library: str  # "activerecord", "sqlalchemy", "django"
    worker: str
    worker_line: int = 1
    size: int | None = None
    threads: int | None = None
    processes: int | None = None
    unresolved: str = ""
    default: bool = False  # nobody says it, and the library's own size counts
    web: bool = False
    capsules: tuple[int, ...] = ()  # threads beside `threads`; 0 where the default counts
    trial: str = ""  # why it is how somebody develops, and no production


class Ceiling(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """How many connections a database server accepts, and who says so."""

    number: int
    source: str


class Pools(msgspec.Struct, frozen=True, omit_defaults=True):
    """All of them. ``pooler``: what stands between pools and server, where something does."""

    all: tuple[Pool, ...] = ()
    ceilings: tuple[Ceiling, ...] = ()
    pooler: str = ""
    unreadable: tuple[tuple[str, str], ...] = ()
    unstarted: Pool | None = None  # Active Record's, where no file says what starts a worker
