"""A connection that fetches: its private lists, its numbered requests, and how they are packed."""

import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec

from kiqdoctor.runtime.alike import Alike, Likewise
from kiqdoctor.runtime.channel import Channel, Script, bulk, bulks
from kiqdoctor.runtime.endings import Step
from kiqdoctor.runtime.fetching.lease import Lease
from kiqdoctor.runtime.fetching.work import Home, Work
from kiqdoctor.wire.keys import LANES, Keys

if TYPE_CHECKING:
    from redis import Redis

BYTES: Final = 256 * 1024  # of payloads in one fetch: large jobs would hold Redis and this thread for all others
FIXED: Final = 7  # arguments of the script before acknowledgements
NO_EXITS: Final = bulk("")
_exits: Final = msgspec.msgpack.Encoder().encode


@dataclass(eq=False)
class Lane:
    """One connection's private lists, and what it has under way. Its lock is held while its request is."""

    name: str
    channel: Channel
    term: Lease
    homes: list[Home] = field(default_factory=list)
    head: bytes = b""
    words: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    number: int = 0  # of its last request
    pending: tuple[bytes, list[Work]] | None = None  # a request whose reply was not read, and what it acknowledges
    asked: int = 0  # jobs, by that request, where it is under way and somebody is to read its reply; else it was lost
    lost: bool = False  # what lies in its lists must be compared with what we know
    audited: float = 0.0
    retired: bool = False

    def request(self, wanted: int, ended: list[Work], order: Sequence[tuple[int, int]]) -> tuple[bytes, list[Work]]:
        """The next request, whole, and what ended in the order in which it is told.

        ``order`` has queues by number, and how many from each at first.

        Packed here and sent as it is: redis-py's pipeline packs 150,000 jobs a second, this 200,000. Kept as bytes, it
        is sent again under its number where its reply was lost; without a number a repeated acknowledgement would take
        an equal job that still runs, since a jid is not there once only (Sidekiq's client sends again, too).
        """
        self.number += 1
        told: defaultdict[Home, list[bytes]] = defaultdict(list)
        exits: list[Work] = []
        for work in ended:  # by its bytes, as the list holds it: a payload that is written anew may differ
            if work.ending is None:
                told[work.home].append(work.payload)
            else:
                exits.append(work)
        plain = len(ended) - len(exits)
        packed = NO_EXITS
        if exits:
            exits, packed = _packed(exits)
            ended = [*(work for work in ended if work.ending is None), *exits]
        parts = [
            b"*%d\r\n" % (self.words + FIXED + 2 * len(told) + plain + 2 * len(order)),
            self.head,
            bulk(self.number),
            bulk(wanted),
            bulk(BYTES),
            bulk(len(self.homes)),
            self.homes[0].place,
            bulk(len(told)),
            packed,
        ]
        for home, payloads in told.items():
            parts += (home.place, bulk(len(payloads)), bulks(payloads))
        for index, share in order:
            parts.append(bulk(index))
            parts.append(bulk(share))
        return b"".join(parts), ended


def _packed(exits: Iterable[Work]) -> tuple[list[Work], bytes]:
    """As one word, in the order in which they lie there: packing each by itself would cost more than the jobs."""
    order: list[Work] = []
    single: list[tuple[int, str | msgspec.Raw, list[Any]]] = []
    alike: dict[tuple[Home, Alike], tuple[list[Work], list[Any]]] = {}
    for work in exits:
        ending = work.ending
        if type(ending) is Likewise:
            kind = (work.home, ending.alike)
            found = alike.get(kind)
            if found is None:
                found = alike[kind] = ([], [])
            found[0].append(work)
            found[1].append(_text(work.payload))
            found[1].extend(ending.words)
        elif ending is not None:
            order.append(work)
            single.append((work.home.at, _text(work.payload), [_spelt(one) for one in ending.steps]))
    groups = []
    for (home, how), (works, rows) in alike.items():
        order += works
        groups.append((home.at, len(rows) // len(works), how.pattern, rows))
    return order, bulk(_exits((single, groups)))


def _spelt(step: Step) -> Step | tuple[str, str, list[Any]]:
    for word in step.words:
        if type(word) is bytes:
            return step.name, step.key, [_text(one) if type(one) is bytes else one for one in step.words]
    return step


def _text(raw: bytes) -> str | msgspec.Raw:
    """As what MessagePack calls a string: Redis reads none of its binaries."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return msgspec.Raw(b"\xdb%b%b" % (len(raw).to_bytes(4, "big"), raw))


def lanes(client: "Redis", keys: Keys, names: Sequence[str], lease: Lease, script: Script) -> list[Lane]:
    """Those of one identity. Any of them may acknowledge what another one took: each request names all lists.

    Each has lists of its own, so that after a lost reply one lane's are compared while the other's go on changing.
    """
    found = [Lane(name, Channel(client), lease) for name in LANES]
    queues = [keys.queue(name) for name in names]
    lists = [[keys.private(lease.identity, lane.name, name) for name in names] for lane in found]
    every = [key for some in lists for key in some]
    for number, lane in enumerate(found):
        lane.head, lane.words = script.head([lease.key, keys.sequence(lease.identity, lane.name), *queues, *every])
        ours = 3 + len(queues) * (1 + number)
        lane.homes = [
            Home(name, lane, key, bulk(at), at)
            for at, (name, key) in enumerate(zip(names, lists[number], strict=True), ours)
        ]
    return found
