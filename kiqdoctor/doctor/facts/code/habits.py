"""What an application's source does again and again that belongs to one place: clients, releases, secrets, stamps."""

from enum import StrEnum

from kiqdoctor.doctor.facts.code.sites import Named, Sites


class MongoClients(Sites[Named]):
    """Clients of MongoDB that are built anew each time a function runs, by what builds them; none that is kept."""

    __slots__ = ()


class Leaking(StrEnum):
    """How a secret gets out of a job: its arguments are logged, all or one that is named so, or it becomes one."""

    ALL = "logs all arguments of jobs"
    NAMED = "logs what its name calls a secret"
    HANDED = "hands a job what its name calls a secret"


class Leak(Named, frozen=True, omit_defaults=True, gc=False):
    """A place where that happens; ``name``: what is logged or handed over, as it is called."""

    how: Leaking = Leaking.ALL


class Leaks(Sites[Leak]):
    """All of them; no value is among them."""

    __slots__ = ()


class Releases(Sites[Named]):
    """Places that give a database's connection back: ``django`` or ``scoped_session``."""

    __slots__ = ()


class Lateness(StrEnum):
    """Why code is loaded while jobs run."""

    CYCLE = "imports a module of the application that imports this one"
    COMPUTED = "imports what is named at run time"
    CHANGES = "imports a module that changes what the whole process shares"
    EAGER = "runs in production without eager_load"
    AUTOLOAD = "is loaded with a constant that is loaded at its first use"


class LateLoad(Named, frozen=True, omit_defaults=True, gc=False):
    """A place that makes it so; ``name``: what is loaded, or the setting."""

    how: Lateness = Lateness.CYCLE


class LateLoads(Sites[LateLoad]):
    """All of them."""

    __slots__ = ()


class PopLimits(Sites[Named]):
    """Blocking reads whose client is known, by its socket's time-out: seconds, ``None``, or ``default``."""

    __slots__ = ()


class Fetching(Sites[Named]):
    """Places that turn a fetch on which keeps what it takes (``reliable``), and jobs with the tag ``critical``."""

    __slots__ = ()


class Precision(StrEnum):
    """By what a second is lost from a stamp that tells whether something changed."""

    KEY = "a cache key of whole seconds"
    VALIDATOR = "an HTTP date, whose resolution is a second"
    SETTING = "cache_timestamp_format without fractions"
    COLUMN = "a column of whole seconds"


class WholeSecond(Named, frozen=True, omit_defaults=True, gc=False):
    """A stamp of whole seconds by which a cache or a client tells that nothing changed; ``name``: its text.

    ``stages``: a job writes what such a record has come to (a status, its progress), not only its data; ``writer``:
    the function that does, or that writes it at all, as an index.
    """

    how: Precision = Precision.KEY
    stages: bool = False
    writer: int = 0


class WholeSeconds(Sites[WholeSecond]):
    """All of them. Columns count where something caches by them."""

    __slots__ = ()
