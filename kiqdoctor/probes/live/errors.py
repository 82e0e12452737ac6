"""Why jobs fail: those of the sets ``retry`` and ``dead``, grouped; of large sets a sample from end to end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from kiqdoctor.doctor.facts.live import Depths, ErrorGroup, Errors, Failure, Looked
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.probes.asking import READ_BUDGET, average_sizes, batched
from kiqdoctor.probes.live.jobs import PARSED, failure_of
from kiqdoctor.probes.live.reader import LiveReader, must
from kiqdoctor.wire.fields import FAILED_AT, RETRIED_AT
from kiqdoctor.wire.keys import DEAD, RETRY
from kiqdoctor.wire.numbers import real
from kiqdoctor.wire.payload import Payload, PayloadError, read

SETS: Final = (RETRY, DEAD)
MOST: Final = 4_000  # members of each set that are looked at
WINDOWS: Final = 8  # that a set is looked at through, from its first member to its last
MOST_GROUPS: Final = 500

Scored = dict[bytes, float | None]


class ErrorsReader(LiveReader):
    """While somebody looks: some thousand payloads are parsed for it."""

    fact: ClassVar[type] = Errors
    every: ClassVar[float] = 10.0

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Errors:
        """Each set by its windows, within the bytes that one probe takes."""
        del replies
        totals = _totals(seen.get(Depths))
        keys = [self.keys.name(name) for name in SETS]
        averages = average_sizes(self.redis, keys, totals)
        ranges = [list(_ranges(total, average)) for total, average in zip(totals, averages, strict=True)]
        asked = [("ZRANGE", key, *one, "WITHSCORES") for key, some in zip(keys, ranges, strict=True) for one in some]
        flat = [must(reply) for reply in batched(self.redis, asked)]
        edge = len(ranges[0])
        retrying, dead = _members(flat[:edge]), _members(flat[edge:])
        looked = [Looked(min(len(some), of), of) for some, of in zip((retrying, dead), totals, strict=True)]
        return _grouped(Errors(now, retrying=looked[0], dead=looked[1]), retrying, dead)


def _totals(depths: Depths | Any) -> list[int]:
    """How many members each set has, as this look has read it.

    Raises:
        RefusalError: it could not.
    """
    if not isinstance(depths, Depths):
        raise RefusalError(depths.reason, depths.unlock if isinstance(depths, Refused) else "")
    if unread := next((one.unread for one in depths.sets if one.name in SETS and one.unread), ""):
        raise RefusalError(unread)
    return [depths.size(name) for name in SETS]


def _ranges(total: int, average: float | None) -> Iterator[tuple[int, int]]:
    """First and last rank of each window: all of a small set, else spread evenly over it."""
    fitting = int(READ_BUDGET / len(SETS) // average) if average else MOST
    size = -(-min(total, MOST, fitting) // WINDOWS)
    starts = {round(number * (total - size) / (WINDOWS - 1)) for number in range(WINDOWS)}
    return ((start, start + size - 1) for start in sorted(starts) if size)


def _members(windows: Sequence[Sequence[Any]]) -> Scored:
    """Each once: a set that moves may show one in two windows."""
    return {member: real(score) for flat in windows for member, score in zip(flat[::2], flat[1::2], strict=True)}


def _grouped(errors: Errors, retrying: Scored, dead: Scored) -> Errors:
    groups: dict[Failure, ErrorGroup] = {}
    unread = 0
    for members, of_retries in ((retrying, True), (dead, False)):
        for member, score in members.items():
            job = _job(member)
            if job is None:
                unread += 1
                continue
            failure = failure_of(job)
            known = groups.get(failure) or ErrorGroup(failure)
            groups[failure] = _with(known, job, score if of_retries else None, of_retries=of_retries)
    found = sorted(groups.values(), key=lambda one: (-errors.jobs(one), str(one.failure)))
    more = len(found) - MOST_GROUPS
    partial = f"{more:,} smaller groups are left out" if more > 0 else ""
    return replace(errors, groups=tuple(found[:MOST_GROUPS]), unread=unread, partial=partial)


def _job(member: bytes) -> Payload | None:
    if len(member) > PARSED:
        return None
    try:
        return read(member)
    except PayloadError:
        return None


def _with(group: ErrorGroup, job: Payload, next_try: float | None, *, of_retries: bool) -> ErrorGroup:
    """The group with another job."""
    failed = job.at(RETRIED_AT) or job.at(FAILED_AT)
    return ErrorGroup(
        group.failure,
        group.retrying + of_retries,
        group.dead + (not of_retries),
        max((at for at in (group.newest, failed) if at is not None), default=None),
        min((at for at in (group.next_try, next_try) if at is not None), default=None),
    )
