"""What lies beside jobs in Redis: unique locks, batches, periodic jobs; and whether the jobs they name are anywhere."""

import msgspec


class Lock(msgspec.Struct, frozen=True):
    """One job's hold of a unique lock. ``kind``: who keeps such locks; ``type``: theirs, "" where it is not said.

    ``since`` is in epoch seconds; ``ttl_s`` None: it never ends by itself.
    """

    key: str
    kind: str
    jid: str
    type: str = ""
    since: float | None = None
    ttl_s: int | None = None


class Locks(msgspec.Struct, frozen=True):
    """Every unique lock that a job holds."""

    all: tuple[Lock, ...] = ()
    partial: str = ""  # why not all were read


class Batch(msgspec.Struct, frozen=True):
    """Jobs that belong together, whose end somebody waits for.

    ``waits_for``: callbacks that were not called yet; ``pending``: how many jobs are in their way, as it is counted;
    ``remaining``: which these are, as far as they were read. ``sealed`` False: it was never told that it is complete.
    ``odd``: why its layout is not what we know.
    """

    key: str
    kind: str
    created_at: float | None = None  # epoch seconds
    pending: int | None = None
    waits_for: tuple[str, ...] = ()
    remaining: tuple[str, ...] = ()
    sealed: bool = True
    odd: str = ""


class Batches(msgspec.Struct, frozen=True):
    """Every batch whose end somebody waits for, and how many there are at all."""

    all: tuple[Batch, ...] = ()
    known: int = 0
    partial: str = ""


class Sightings(msgspec.Struct, frozen=True):
    """Jobs that locks and batches name: those in no queue, set, private list or in-flight hash, and those only in dead.

    ``partial``: why some may lie where nobody looked; then ``nowhere`` and ``only_dead`` prove nothing.
    """

    wanted: int = 0
    nowhere: frozenset[str] = frozenset()
    only_dead: frozenset[str] = frozenset()
    looked_at: int = 0  # jobs
    partial: str = ""


class PeriodicJob(msgspec.Struct, frozen=True):
    """A job that runs by the clock, as its scheduler keeps it. Times are epoch seconds.

    ``zone``: an IANA name, an offset as +HH:MM, or "" where it is not said; ``last``: its last tick or push;
    ``registered``: before it nothing was due; ``next``: when its scheduler itself says that it is due next.
    ``wanted`` False: no live process has it any more; None: nobody says. ``odd``: why it cannot be read.
    """

    name: str
    kind: str
    cron: str = ""
    zone: str = ""
    enabled: bool = True
    last: float | None = None
    last_offset_s: int | None = None  # of the zone that the last time was written in
    registered: float | None = None
    next: float | None = None
    wanted: bool | None = None
    odd: str = ""
    job_class: str = ""  # "" where its scheduler does not write it


class PeriodicJobs(msgspec.Struct, frozen=True):
    """Every periodic job that lies in Redis."""

    all: tuple[PeriodicJob, ...] = ()
    partial: str = ""
