"""Where one job is, or those of a class, of a queue, with a text among their arguments."""

from typing import Final

import msgspec

QUEUE: Final = "queue"  # the places, as the report has them
SCHEDULE: Final = "schedule"
RETRY: Final = "retry"
DEAD: Final = "dead"
IN_FLIGHT: Final = "in-flight"
PRIVATE: Final = "private-list"
OTHER_NAMESPACE: Final = "other-namespace"
OTHER_DATABASE: Final = "other-database"


class Sought(msgspec.Struct, frozen=True):
    """What is looked for; "" is anything. ``text`` stands among the arguments, as JSON spells them."""

    jid: str = ""
    job_class: str = ""
    queue: str = ""
    text: str = ""


class Hit(msgspec.Struct, frozen=True):
    """One place where such a job lies. Times are epoch seconds.

    ``position``: how many jobs of the queue are taken before it; ``attempt``: which try comes next, 1 the first.
    ``key``: the list or hash that it lies in; ``expiry``: when it is not begun any more; ``error``: why it failed last.
    """

    place: str
    jid: str = ""
    job_class: str = ""
    queue: str = ""
    key: str = ""
    position: int | None = None
    of: int | None = None
    due_at: float | None = None
    attempt: int | None = None
    error: str = ""
    process: str = ""
    thread: str = ""
    since: float | None = None
    namespace: str = ""
    database: int | None = None
    at_most_once: bool = False
    expiry: float | None = None


class Pace(msgspec.Struct, frozen=True):
    """How far one job moved up in its queue within some seconds; ``gone``: it left it in that time."""

    before: int
    after: int
    seconds: float
    gone: bool = False


class Trace(msgspec.Struct, frozen=True):
    """What was found, the first hundred of it, and how many such there are in all.

    ``looked_at``: which places, and how many jobs in each; ``unknown``: where such a job may lie that nobody saw.
    ``status``: what our runtime says became of it, "" where it says nothing.
    """

    hits: tuple[Hit, ...] = ()
    matching: int = 0
    looked_at: tuple[tuple[str, int], ...] = ()
    unknown: tuple[str, ...] = ()
    pace: Pace | None = None
    status: str = ""
    status_at: float | None = None
    limits: tuple[tuple[str, int], ...] = ()  # keys that limit its class, and how many hold a place there now
    paused: tuple[str, ...] = ()  # queues from which nobody takes until somebody unpauses them
    processed: int | None = None  # jobs that ended here, ever
