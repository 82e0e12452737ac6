"""What an action would do, in words, before anything is sent. Pure."""

from collections.abc import Callable, Collection, Sequence
from enum import StrEnum
from typing import Final

from kiqdoctor.records import dataclass
from kiqdoctor.text import clean
from kiqdoctor.wire.keys import DEAD, DEAD_SIZE, QUEUE_PREFIX, RETRY, SCHEDULE, SIGNALS_TTL, Keys
from kiqdoctor.wire.payload import PayloadError, read

SHOWN: Final = 12  # lines of what is sent
CLEARED_FOR: Final = 3_600  # seconds that a cleared queue can be put back
LARGE: Final = 64 * 1024  # bytes: a larger job is named by its size alone


class Verb(StrEnum):
    """What can be done."""

    RETRY = "retry"
    ENQUEUE = "enqueue"
    DELETE = "delete"
    KILL = "kill"
    PAUSE = "pause"
    RESUME = "resume"
    CLEAR = "clear"
    QUIET = "quiet"
    STOP = "stop"


SIGNALS: Final = {Verb.QUIET: "TSTP", Verb.STOP: "TERM"}
OF_JOBS: Final = frozenset({Verb.RETRY, Verb.ENQUEUE, Verb.DELETE, Verb.KILL})
OF_QUEUES: Final = frozenset({Verb.PAUSE, Verb.RESUME, Verb.CLEAR})
FROM: Final = {
    Verb.RETRY: frozenset({RETRY, DEAD}),
    Verb.ENQUEUE: frozenset({SCHEDULE}),
    Verb.KILL: frozenset({RETRY, SCHEDULE, QUEUE_PREFIX}),
    Verb.DELETE: frozenset({RETRY, SCHEDULE, DEAD, QUEUE_PREFIX}),
}


@dataclass(frozen=True, slots=True)
class JobEntry:
    """One entry of a set or queue by its exact bytes: removal from Redis matches bytes, never fields.

    ``place``: ``retry``, ``schedule``, ``dead`` or ``queue:<bare name>``. ``score``: its due time, for undo.
    """

    place: str
    member: bytes
    score: float | None = None

    @property
    def in_queue(self) -> bool:
        """It lies in a queue, not in a set."""
        return self.place.startswith(QUEUE_PREFIX)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What would be done, and in words: what is sent, what that means, how it is taken back."""

    verb: Verb
    title: str
    sent: tuple[str, ...]
    effect: str
    undo: str
    jobs: tuple[JobEntry, ...] = ()
    queues: tuple[str, ...] = ()
    processes: tuple[str, ...] = ()


def propose(
    verb: Verb,
    *,
    jobs: Sequence[JobEntry] = (),
    queues: Sequence[str] = (),
    processes: Sequence[str] = (),
    embedded: Collection[str] = (),
    namespace: str | None = None,
) -> Proposal:
    """The proposal for these targets, of the one kind that the verb takes.

    ``embedded``: those of the processes that run inside another program, where they heed no signals.

    Raises:
        ValueError: nothing was chosen, or the verb does not fit it; one line.
    """
    keys = Keys(namespace)
    if verb in OF_JOBS:
        return _of_jobs(verb, _fitting(verb, jobs), keys)
    if verb in OF_QUEUES:
        return _of_queues(verb, _some(verb, queues, "queue"), keys)
    return _of_processes(verb, _free(_some(verb, processes, "process"), embedded), keys)


def _some(verb: Verb, chosen: Sequence[str], kind: str) -> tuple[str, ...]:
    if not chosen:
        raise ValueError(f"{verb.value} needs a {kind}: none was chosen")
    return tuple(dict.fromkeys(chosen))


def _free(processes: tuple[str, ...], embedded: Collection[str]) -> tuple[str, ...]:
    if inside := [one for one in processes if one in embedded]:
        raise ValueError(
            f"{clean(inside[0])} is embedded in another program and heeds no signal from here: stop that program"
        )
    return processes


def _fitting(verb: Verb, jobs: Sequence[JobEntry]) -> tuple[JobEntry, ...]:
    if not jobs:
        raise ValueError(f"{verb.value} needs a job: none was chosen")
    for job in jobs:
        if (QUEUE_PREFIX if job.in_queue else job.place) not in FROM[verb]:
            raise ValueError(f"jobs of {clean(job.place)} cannot be asked to {verb.value}")
        if verb is Verb.DELETE and not job.in_queue and job.score is None:
            raise ValueError(f"a job of {job.place} is deleted with its score at hand, else undo could not put it back")
    return tuple(jobs)


def _of_jobs(verb: Verb, jobs: tuple[JobEntry, ...], keys: Keys) -> Proposal:
    places = ", ".join(dict.fromkeys(clean(job.place) for job in jobs))
    title = f"{verb.value.capitalize()} {counted(len(jobs), 'job')} of {places}"
    shown = SHOWN - 1 if verb is Verb.KILL else SHOWN
    lines = _listed([_sent(verb, job, keys) for job in jobs[:shown]], len(jobs))
    if verb is Verb.KILL:
        dead = clean(keys.dead)
        lines = (*lines, f"ZREMRANGEBYSCORE {dead} -inf <180 days ago>; ZREMRANGEBYRANK {dead} 0 -{DEAD_SIZE}")
    effect, undo = _JOBS[verb]
    return Proposal(verb, title, lines, effect, undo, jobs)


_JOBS: Final[dict[Verb, tuple[str, str]]] = {
    Verb.RETRY: (
        "Each goes to its queue now, with one try less on its count, and runs as soon as a thread is free.",
        "what still waits in its queue goes back to where it was; what has begun cannot be called back",
    ),
    Verb.ENQUEUE: (
        "Each goes to its queue now, and runs as soon as a thread is free.",
        "what still waits in its queue is scheduled again; what has begun cannot be called back",
    ),
    Verb.DELETE: (
        "They will not run. Batches that wait for them wait on, and locks of unique jobs stay until they expire.",
        "they are put back: in a set at their old time, in a queue at its front",
    ),
    Verb.KILL: (
        "They run no more by themselves, and no death handler is told. Dead keeps the last 9,999 of 180 days, no more.",
        "what is still in dead goes back to where it was, in a queue to its front",
    ),
}


def _sent(verb: Verb, job: JobEntry, keys: Keys) -> str:
    key, known = clean(keys.name(job.place)), described(job.member)
    remove = f"LREM {key} -1 {known}" if job.in_queue else f"ZREM {key} {known}"
    if verb is Verb.DELETE:
        return remove
    if verb is Verb.KILL:
        return f"{remove}; ZADD {clean(keys.dead)} <now> <the same>"
    queue = queue_of(job.member)
    if not queue:
        return f"nothing: {known} stays in {key}"
    return f"{remove}; SADD {clean(keys.queues)} {clean(queue)}; LPUSH {clean(keys.queue(queue))} <the same, stamped>"


def described(member: bytes) -> str:
    """A job in a few words, without its arguments."""
    size = f"<{len(member):,} bytes"
    if len(member) > LARGE:
        return f"{size}>"
    try:
        job = read(member)
    except PayloadError:
        return f"{size}, no payload>"
    return f"{size}: {clean(job.shown_class, 60)} {clean(job.jid, 24)}>"


def queue_of(member: bytes) -> str:
    """The queue that a job belongs to; "" where it is no payload."""
    try:
        return read(member).queue or "default"
    except PayloadError:
        return ""


def _of_queues(verb: Verb, queues: tuple[str, ...], keys: Keys) -> Proposal:
    title = f"{verb.value.capitalize()} {counted(len(queues), 'queue')}: {clean(', '.join(queues))}"
    sent, effect, undo = _QUEUES[verb]
    lines = [sent(keys, queue) for queue in queues[:SHOWN]]
    return Proposal(verb, title, _listed(lines, len(queues)), effect, undo, queues=queues)


def _clearing(keys: Keys, queue: str) -> str:
    trash = clean(keys.cleared(queue, "…"))
    return (
        f"RENAME {clean(keys.queue(queue))} {trash}; EXPIRE {trash} {CLEARED_FOR};"
        f" SREM {clean(keys.queues)} {clean(queue)}"
    )


_QUEUES: Final[dict[Verb, tuple[Callable[[Keys, str], str], str, str]]] = {
    Verb.PAUSE: (
        lambda keys, queue: f"SADD {clean(keys.paused)} {clean(queue)}",
        "kiqdoctor's reliable fetch and Sidekiq Pro take nothing more from it; open-source Sidekiq does not heed this.",
        "resume it",
    ),
    Verb.RESUME: (
        lambda keys, queue: f"SREM {clean(keys.paused)} {clean(queue)}",
        "Jobs are taken from it again.",
        "pause it",
    ),
    Verb.CLEAR: (
        _clearing,
        "All of its jobs are set aside: they will not run, and their memory is freed after an hour.",
        "within that hour they are put back, in front of what has come since",
    ),
}


def _of_processes(verb: Verb, processes: tuple[str, ...], keys: Keys) -> Proposal:
    signal = SIGNALS[verb]
    lists = [clean(keys.signals(one)) for one in processes[:SHOWN]]
    lines = [f"LPUSH {one} {signal}; EXPIRE {one} {SIGNALS_TTL}" for one in lists]
    effect = {
        Verb.QUIET: "At its next beat (Sidekiq 10 s, kiqdoctor 5 s) it takes no more jobs; running ones go on.",
        Verb.STOP: "At its next beat (Sidekiq 10 s, kiqdoctor 5 s) it stops as at TERM; unfinished jobs go back.",
    }[verb]
    title = f"{verb.value.capitalize()} {counted(len(processes), 'process')}: {clean(', '.join(processes))}"
    return Proposal(
        verb,
        title,
        _listed(lines, len(processes)),
        effect,
        "none: whoever started the process starts it again",
        processes=processes,
    )


def _listed(lines: list[str], total: int) -> tuple[str, ...]:
    return (*lines, f"and {total - len(lines):,} more like these") if total > len(lines) else tuple(lines)


def counted(number: int, noun: str) -> str:
    """``1 job``, ``3 jobs``, ``2 processes``."""
    return f"{number:,} {noun if number == 1 else noun + ('es' if noun.endswith('s') else 's')}"
