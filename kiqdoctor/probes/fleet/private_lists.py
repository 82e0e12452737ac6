"""Private lists: jobs that a process took from their queues, by the layouts that their writers' sources give."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Final

from kiqdoctor.doctor.facts.fleet import PrivateList, PrivateLists
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import MEMBER_LIMIT, average_sizes, batched, items, number
from kiqdoctor.probes.names import Names, shared
from kiqdoctor.probes.queues.payloads import sample
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.keys import LEASES, QUEUE_PREFIX, TAKEN, Keys

MOST_LISTS: Final = 5_000
MOST_SIGNS: Final = 2_000  # signs of life of one kind that are counted
LOOKED_INTO: Final = 100  # lists without a living owner whose oldest jobs are read
OLDEST: Final = 20  # jobs
IDENTITY: Final = r".+?:\d+:[0-9a-f]+"

OURS: Final = "kiqdoctor"
PRO: Final = "Sidekiq Pro super_fetch"
GITLAB: Final = "gitlab-sidekiq-fetcher"
UNIQUE_JOBS: Final = "sidekiq-unique-jobs"
EXQ: Final = "Exq"
GO: Final = "go-workers"
_SEAT: Final = regex(r"(?P<host>.+)[:-](?P<pid>\d{1,10})(?:[:-][0-9a-f]+)?")
GITLAB_SIGNS: Final = "reliable-fetcher-heartbeat-"


@dataclass(frozen=True, slots=True)
class Layout:
    """Who writes such names, how they are spelt, the key that proves the owner alive, and what all such begin with."""

    kind: str
    pattern: re.Pattern[str]
    sign: Callable[[str], str]
    signs: str = ""


def _layout(kind: str, pattern: str, sign: Callable[[str], str], signs: str = "") -> Layout:
    return Layout(kind, regex(pattern, re.DOTALL), sign, signs)


def _gitlab_sign(owner: str) -> str:
    return GITLAB_SIGNS + owner.replace(":", "-")


LAYOUTS: Final = (
    _layout(OURS, rf"{TAKEN}(?P<owner>{IDENTITY}):[01w]:(?P<queue>.+)", lambda owner: LEASES + owner, LEASES),
    _layout(PRO, rf"{QUEUE_PREFIX}sq\|(?P<owner>{IDENTITY})\|(?P<queue>.+)", lambda owner: owner),
    _layout(EXQ, rf"{QUEUE_PREFIX}backup::(?P<owner>.+)::(?P<queue>.+)", lambda owner: f":{owner}"),
    _layout(GITLAB, r"working:queue:(?P<queue>.+):(?P<owner>[^:]*:\d+:[0-9a-f]+)", _gitlab_sign, GITLAB_SIGNS),
    _layout(GITLAB, r"working:queue:(?P<queue>.+):(?P<owner>[^:]*:\d+)", _gitlab_sign, GITLAB_SIGNS),  # long ago
    _layout(GO, rf"{QUEUE_PREFIX}(?P<queue>.+):(?P<owner>[^:]+):inprogress", lambda _: ""),
    _layout(
        UNIQUE_JOBS,
        r"uniquejobs:working:(?P<owner>.+)(?P<queue>)",
        lambda owner: f"uniquejobs:heartbeat:{owner}",
        "uniquejobs:heartbeat:",
    ),
)


@probe(
    Read("SCAN", "+scan", "shared with Keyspace"),
    Read("LLEN of private lists", "+llen", "O(1) each, up to 5,000"),
    Read("SISMEMBER queues", "+sismember", "O(1), names with a | only"),
    Read("EXISTS of leases and heartbeats", "+exists", "O(1) each"),
    Read("SMEMBERS super_processes", "+smembers +scard", "O(processes), up to 2,000"),
    Read("MEMORY USAGE, LRANGE of what nobody owns", "+memory|usage +lrange", "20 jobs of up to 100 lists"),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def private_lists(redis: Redis) -> PrivateLists:
    """Those that hold jobs, whether the key is there that proves their owners alive, and who could take jobs back."""
    keys, names = Keys(redis.namespace), shared(redis)
    found = listed(redis, names)
    sizes = [number(reply) for reply in batched(redis, [("LLEN", keys.name(one.key)) for one in found])]
    holding = [(one, size) for one, size in zip(found, sizes, strict=True) if size]
    signs = batched(redis, [("EXISTS", *_signs(keys, one)) if one.sign else ("EXISTS", "") for one, _ in holding])
    lists = [
        PrivateList(one.key, one.kind, size, one.owner, one.queue, one.sign, number(signed) > 0)
        for (one, size), signed in zip(holding, signs, strict=True)
    ]
    keepers = tuple((layout.kind, _keepers(redis, keys, names, layout)) for layout in LAYOUTS if lists)
    cut = f"more than {MOST_LISTS} private lists" if len(found) == MOST_LISTS else ""
    seats = tuple(sorted(_seats(keys, names, found)))
    return PrivateLists(tuple(_looked_into(redis, keys, lists)), keepers, names.shortfall or cut, seats)


def _seats(keys: Keys, names: Names, found: Sequence[PrivateList]) -> set[str]:
    """Who signs as a gem's processes do, and who has a list as they have."""
    gems = [layout for layout in LAYOUTS if layout.kind in {GITLAB, UNIQUE_JOBS} and layout.signs]
    signs = [one for layout in gems for one in islice(names.under(keys.name(layout.signs)), MOST_SIGNS)]
    owners = [one.owner for one in found if one.kind in {GITLAB, UNIQUE_JOBS}]
    return {f"{match['host']}:{match['pid']}" for one in (*signs, *owners) if (match := _SEAT.fullmatch(clean(one)))}


def listed(redis: Redis, names: Names) -> list[PrivateList]:
    """What the names say of private lists, before any is looked at."""
    prefix = Keys(redis.namespace).name("")
    odd: list[str] = []
    found: list[PrivateList] = []
    for name in names.under(prefix):
        one = read(name)
        if one is not None:
            found.append(one)
        elif name.startswith(QUEUE_PREFIX) and "|" in name:
            odd.append(name)
    return [*found, *_unregistered(redis, odd[:MOST_LISTS])][:MOST_LISTS]


def read(name: str) -> PrivateList | None:
    """What a key's bare name says of a private list; None where it is of no known layout."""
    if not name.startswith(("kiq:", QUEUE_PREFIX, "working:", "uniquejobs:")):
        return None
    for layout in LAYOUTS:
        if match := layout.pattern.fullmatch(name):
            owner = match["owner"]
            return PrivateList(name, layout.kind, 0, owner, match["queue"], layout.sign(owner))
    return None


def _unregistered(redis: Redis, names: Sequence[str]) -> Iterator[PrivateList]:
    """Lists that look private, of a layout that nobody published; one that is registered is a queue of an odd name."""
    queues = Keys(redis.namespace).queues
    known = batched(redis, [("SISMEMBER", queues, name.removeprefix(QUEUE_PREFIX)) for name in names])
    return (PrivateList(name, "", 0) for name, queue in zip(names, known, strict=True) if not number(queue))


def _signs(keys: Keys, one: PrivateList) -> tuple[str, ...]:
    """Exq leaves the colon in front of a node's key where it has no namespace, and not where it has one."""
    return (keys.name(one.sign), keys.name(one.owner)) if one.kind == EXQ else (keys.name(one.sign),)


def _keepers(redis: Redis, keys: Keys, names: Names, layout: Layout) -> int:
    if layout.kind == PRO:
        if number(*redis.ask_all([("SCARD", keys.super_processes)])) > MOST_SIGNS:
            return MOST_SIGNS
        [members] = redis.ask_all([("SMEMBERS", keys.super_processes)])
        signs = [keys.process(decode(one)) for one in items(members)]
    else:
        signs = [keys.name(layout.signs + one) for one in names.under(keys.name(layout.signs))] if layout.signs else []
    return sum(number(reply) for reply in batched(redis, [("EXISTS", sign) for sign in signs[:MOST_SIGNS]]))


def _looked_into(redis: Redis, keys: Keys, lists: Sequence[PrivateList]) -> Iterator[PrivateList]:
    """The oldest jobs of lists whose owner shows no sign of life: they say since when, and are known again later."""
    doubtful = [one for one in lists if not one.signed][:LOOKED_INTO]
    averages = average_sizes(redis, [keys.name(one.key) for one in doubtful], [one.size for one in doubtful])
    small = [one for one, size in zip(doubtful, averages, strict=True) if size is None or size <= MEMBER_LIMIT]
    replies = batched(redis, [("LRANGE", keys.name(one.key), -OLDEST, -1) for one in small])
    jobs = {one.key: items(reply) for one, reply in zip(small, replies, strict=True)}
    for one in lists:
        yield _with_jobs(one, jobs.get(one.key, []))


def _with_jobs(one: PrivateList, raws: Sequence[bytes]) -> PrivateList:
    samples = [sample(raw) for raw in reversed(raws)]
    stamps = [job.enqueued_at for job in samples if job.enqueued_at is not None]
    return PrivateList(
        key=one.key,
        kind=one.kind,
        size=one.size,
        owner=one.owner,
        queue=one.queue,
        sign=one.sign,
        signed=one.signed,
        oldest_at=min(stamps, default=None),
        jids=tuple(clean(job.jid) for job in samples if job.jid),
    )
