"""Carries proposals out, and takes back what it did."""

import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import Any, Final, TypeVar

from kiqdoctor.actions.proposals import CLEARED_FOR, SIGNALS, JobEntry, Proposal, Verb, counted, propose, queue_of
from kiqdoctor.actions.writing import Writer, allowing, refused, script
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.connection import Address, Command, ConnectError
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean
from kiqdoctor.wire.keys import DEAD, DEAD_SIZE, DEAD_TTL, QUEUE_PREFIX, RETRY, SIGNALS_TTL, Keys
from kiqdoctor.wire.payload import PayloadError, pushed, read

CHUNK: Final = 100  # jobs in one request
SEARCHED: Final = 1_000_000  # entries of queues that one request may pass by, which takes Redis some 0.2 s
CHUNK_BYTES: Final = 1_000_000
PART: Final = 1_000  # jobs that one request puts back into a cleared queue
PROBLEMS: Final = 20  # lines


@dataclass(frozen=True, slots=True)
class Moved:
    """A job as it was, and as and where it lies now; ``to`` "" for nowhere."""

    job: JobEntry
    to: str = ""
    now: bytes = b""


@dataclass(frozen=True, slots=True)
class Reversal:
    """What taking it back needs: jobs that moved, or queue names with where they were set aside."""

    moved: tuple[Moved, ...] = ()
    queues: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Done:
    """What was done. ``gone``: had left before we came, and nothing was done to them. ``problems``: a line each."""

    proposal: Proposal
    changed: int = 0
    gone: int = 0
    problems: tuple[str, ...] = ()
    reversal: Reversal | None = None


@dataclass
class Tally:
    """What has come of a proposal so far."""

    proposal: Proposal
    changed: int = 0
    gone: int = 0
    problems: dict[str, None] = field(default_factory=dict)
    moved: list[Moved] = field(default_factory=list)
    queues: list[tuple[str, str]] = field(default_factory=list)

    def problem(self, line: str) -> None:
        """Once, however often it happens."""
        self.problems[line] = None

    def done(self) -> Done:
        """Frozen."""
        lines = list(self.problems)
        more = [f"and {counted(len(lines) - PROBLEMS, 'problem')} more"] if len(lines) > PROBLEMS else []
        reversal = Reversal(tuple(self.moved), tuple(self.queues)) if self.moved or self.queues else None
        return Done(self.proposal, self.changed, self.gone, (*lines[:PROBLEMS], *more), reversal)


class Actions:
    """Writes for a person who was asked first. One connection, opened when it is needed, again after it broke."""

    def __init__(self, address: Address, namespace: str | None, clock: Clock = SYSTEM) -> None:
        self._keys, self._clock = Keys(namespace), clock
        self._writer = Writer(address)

    def may_not_write(self) -> str:
        """Why this user may not write here; "" where it may. Asked by a command that changes nothing.

        Raises:
            ConnectError: Redis cannot be reached.
        """
        token = f"kiqdoctor-asks-whether-it-may-{secrets.token_hex(8)}".encode()
        [reply] = self._writer.send([("ZREM", self._keys.retry, token)])
        said = " ".join(str(reply).split()) if isinstance(reply, Exception) else ""
        if said.startswith("READONLY"):
            return "this Redis is a replica, which takes no writes"
        if said.startswith("NOPERM"):
            asked = propose(Verb.DELETE, jobs=[JobEntry(RETRY, token, 0.0)])
            user = self._writer.user
            return f"the Redis user {clean(user)} may not write; {allowing(said, user, asked, self._keys)} lets it"
        return "" if said.startswith("WRONGTYPE") else clean(said)

    def carry_out(self, proposal: Proposal) -> Done:
        """Do it; whatever could not be done is in ``problems``."""
        tally = Tally(proposal)
        self._whole(lambda: self._do(proposal, tally), tally)
        return tally.done()

    def undo(self, done: Done) -> Done:
        """Take back what can be, once; ``gone`` counts what has gone on since."""
        tally = Tally(done.proposal)
        if done.reversal is not None:
            reversal = done.reversal
            self._whole(lambda: self._undo(done.proposal.verb, reversal, tally), tally)
        return replace(tally.done(), reversal=None)

    def close(self) -> None:
        """Leave."""
        self._writer.close()

    def _whole(self, work: Callable[[], None], tally: Tally) -> None:
        try:
            work()
        except ConnectError as error:
            tally.problem(
                f"Redis went away after {counted(tally.changed, 'change')} ({error.step}: {clean(str(error))});"
                " whether the last request arrived is not known"
            )

    def _do(self, proposal: Proposal, tally: Tally) -> None:
        match proposal.verb:
            case Verb.RETRY | Verb.ENQUEUE:
                self._enqueue(proposal, tally)
            case Verb.KILL:
                self._kill(proposal, tally)
            case Verb.DELETE:
                self._delete(proposal, tally)
            case Verb.PAUSE | Verb.RESUME:
                self._halt(proposal.verb, proposal.queues, tally)
            case Verb.CLEAR:
                self._clear(proposal.queues, tally)
            case Verb.QUIET | Verb.STOP:
                self._signal(proposal, tally)

    def _undo(self, verb: Verb, reversal: Reversal, tally: Tally) -> None:
        match verb:
            case Verb.PAUSE:
                self._halt(Verb.RESUME, [queue for queue, _ in reversal.queues], tally)
            case Verb.RESUME:
                self._halt(Verb.PAUSE, [queue for queue, _ in reversal.queues], tally)
            case Verb.CLEAR:
                for queue, trash in reversal.queues:
                    self._restore(queue, trash, tally)
            case Verb.DELETE:
                self._put_back(reversal.moved[::-1], tally)
            case _:
                self._call_back(reversal.moved[::-1], tally)

    def _enqueue(self, proposal: Proposal, tally: Tally) -> None:
        """Jobs of one set and one queue go together."""
        groups: dict[tuple[str, str], list[Moved]] = {}
        for job in proposal.jobs:
            try:
                payload = self._stamped(job, proposal.verb)
            except PayloadError as error:
                tally.problem(f"stays in {clean(job.place)}, for it is no payload: {clean(str(error))}")
                continue
            to = QUEUE_PREFIX + queue_of(job.member)
            groups.setdefault((job.place, to), []).append(Moved(job, to, payload))
        for (place, to), moves in groups.items():
            self._move(place, to, [(one, one.job.member, one.now, "") for one in moves], tally, end="head")

    def _stamped(self, job: JobEntry, verb: Verb) -> bytes:
        payload = read(job.member)
        count = payload.retry_count
        if verb is Verb.RETRY and count is not None:
            payload = payload.with_(retry_count=count - 1)
        return pushed(payload, self._clock.now()).encode()

    def _kill(self, proposal: Proposal, tally: Tally) -> None:
        now = self._clock.now()
        for place in dict.fromkeys(job.place for job in proposal.jobs):
            moves = [Moved(job, DEAD, job.member) for job in proposal.jobs if job.place == place]
            self._move(place, DEAD, [(one, one.now, one.now, repr(now)) for one in moves], tally)
        if tally.changed:
            dead = self._keys.dead
            self._sent(
                [
                    ("ZREMRANGEBYSCORE", dead, "-inf", repr(now - DEAD_TTL)),
                    ("ZREMRANGEBYRANK", dead, 0, -DEAD_SIZE),
                ],
                tally,
            )

    def _move(
        self, source: str, to: str, moves: Sequence["_Move"], tally: Tally, *, start: str = "tail", end: str = "tail"
    ) -> None:
        """``start``: the end of a queue that it is searched from. ``end``: the end of a queue that it is put at."""
        queue = to.removeprefix(QUEUE_PREFIX) if to.startswith(QUEUE_PREFIX) else ""
        keys = [self._keys.name(source), self._keys.name(to), *([self._keys.queues] if queue else [])]
        searched = source.startswith(QUEUE_PREFIX)
        kinds = (start if searched else "zset", end if queue else "zset")
        for chunk in chunked(moves, self._together(source, tally), lambda one: len(one[1]) + len(one[2])):
            words = [word for _, here, there, score in chunk for word in (here, there, score)]
            [scores] = self._sent([("EVAL", script("move"), len(keys), *keys, *kinds, queue, *words)], tally)
            if not isinstance(scores, list):
                continue
            went = [
                one if searched else replace(one, job=replace(one.job, score=float(score)))
                for (one, *_), score in zip(chunk, scores, strict=True)
                if score
            ]
            tally.moved += went
            tally.changed += len(went)
            tally.gone += len(chunk) - len(went)

    def _together(self, place: str, tally: Tally) -> int:
        """Jobs of this place that one request takes away: the longer a queue, the longer each is searched for."""
        if not place.startswith(QUEUE_PREFIX):
            return CHUNK
        [length] = self._sent([("LLEN", self._keys.name(place))], tally)
        return max(1, min(CHUNK, SEARCHED // length)) if isinstance(length, int) and length else CHUNK

    def _delete(self, proposal: Proposal, tally: Tally) -> None:
        for place in dict.fromkeys(job.place for job in proposal.jobs):
            jobs = [job for job in proposal.jobs if job.place == place]
            for chunk in chunked(jobs, self._together(place, tally), lambda job: len(job.member)):
                replies = self._sent([self._removal(job) for job in chunk], tally)
                for job, reply in zip(chunk, replies, strict=True):
                    if isinstance(reply, int):
                        tally.changed += reply
                        tally.gone += not reply
                        tally.moved += [Moved(job)] if reply else []

    def _removal(self, job: JobEntry) -> Command:
        key = self._keys.name(job.place)
        return ("LREM", key, -1, job.member) if job.in_queue else ("ZREM", key, job.member)

    def _halt(self, verb: Verb, queues: Sequence[str], tally: Tally) -> None:
        """Undo leaves alone what was paused, or not, before we came."""
        command = "SADD" if verb is Verb.PAUSE else "SREM"
        replies = self._sent([(command, self._keys.paused, queue) for queue in queues], tally)
        for queue, reply in zip(queues, replies, strict=True):
            if isinstance(reply, int):
                tally.changed += reply
                tally.gone += not reply
                tally.queues += [(queue, "")] if reply else []

    def _clear(self, queues: Iterable[str], tally: Tally) -> None:
        for queue in queues:
            trash = self._keys.cleared(queue, secrets.token_hex(8))
            keys = (self._keys.queue(queue), self._keys.queues, trash)
            [length] = self._sent([("EVAL", script("clear"), 3, *keys, queue, CLEARED_FOR)], tally)
            if isinstance(length, int):
                tally.changed += length
                tally.queues += [(queue, trash)] if length else []

    def _signal(self, proposal: Proposal, tally: Tally) -> None:
        for process in proposal.processes:
            key = self._keys.signals(process)
            push: Command = ("LPUSH", key, SIGNALS[proposal.verb])
            *_, ended = self._sent([("MULTI",), push, ("EXPIRE", key, SIGNALS_TTL), ("EXEC",)], tally)
            if isinstance(ended, list):
                self._judged(ended, tally)  # what fails within EXEC does so in its answer
                tally.changed += isinstance(ended[0], int)

    def _restore(self, queue: str, trash: str, tally: Tally) -> None:
        keys = (trash, self._keys.queue(queue), self._keys.queues)
        before = tally.changed
        left = 1
        while left:
            command: Command = ("EVAL", script("restore"), 3, *keys, queue, PART, CLEARED_FOR)
            [reply] = self._sent([command], tally)
            if not isinstance(reply, list):
                return
            put_back, left = reply
            tally.changed += put_back
        if tally.changed == before:
            tally.problem(f"{clean(queue)}: the hour is over, nothing can be put back")

    def _put_back(self, moved: Sequence[Moved], tally: Tally) -> None:
        for chunk in chunked([one.job for one in moved], CHUNK, lambda job: len(job.member)):
            names = dict.fromkeys(job.place.removeprefix(QUEUE_PREFIX) for job in chunk if job.in_queue)
            register: list[Command] = [("SADD", self._keys.queues, name) for name in names]
            replies = self._sent([*register, *map(self._return, chunk)], tally)[len(register) :]
            tally.changed += sum(isinstance(reply, int) and reply > 0 for reply in replies)
            tally.gone += sum(reply == 0 for reply in replies)

    def _return(self, job: JobEntry) -> Command:
        key = self._keys.name(job.place)
        return ("RPUSH", key, job.member) if job.in_queue else ("ZADD", key, "NX", repr(job.score), job.member)

    def _call_back(self, moved: Sequence[Moved], tally: Tally) -> None:
        for source, to in dict.fromkeys((one.to, one.job.place) for one in moved):
            part = [one for one in moved if (one.to, one.job.place) == (source, to)]
            moves = [(one, one.now, one.job.member, "" if one.job.in_queue else repr(one.job.score)) for one in part]
            self._move(source, to, moves, tally, start="head")

    def _sent(self, commands: Sequence[Command], tally: Tally) -> list[Any]:
        replies = self._writer.send(commands)
        self._judged(replies, tally)
        return replies

    def _judged(self, replies: Sequence[Any], tally: Tally) -> None:
        """Errors among the replies are problems; EXECABORT only says that there was one before it."""
        for reply in replies:
            if isinstance(reply, Exception) and not str(reply).startswith("EXECABORT"):
                tally.problem(refused(reply, self._writer.user, tally.proposal, self._keys))


_Move = tuple[Moved, bytes, bytes, str]
"""A job, its bytes where it is, its bytes where it goes, its score there."""


_Item = TypeVar("_Item")


def chunked(items: Sequence[_Item], most: int, size_of: Callable[[_Item], int]) -> Iterator[list[_Item]]:
    """Parts that one request may hold; what is larger than that goes alone."""
    chunk: list[_Item] = []
    size = 0
    for one in items:
        here = size_of(one)
        if chunk and (len(chunk) >= most or size + here > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(one)
        size += here
    if chunk:
        yield chunk
