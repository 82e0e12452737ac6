"""Whether a blocked pop may be of queues that are known: the server tells how long a command's words are together."""

from collections.abc import Collection
from typing import Final

from kiqdoctor.doctor.facts.redis import Client

OF_LISTS: Final = frozenset({"brpop", "blpop"})
"""Their words are the keys and the time to wait, nothing else."""
POPS: Final = OF_LISTS | {"blmove", "brpoplpush", "blmpop"}
LONGEST_WAIT: Final = 3  # characters of a time to wait: 600, or 0.5


def fits(client: Client, keys: Collection[str]) -> bool | None:
    """True: as long as a pop of some of these lists; False: of none, or of others besides; None: that is not told."""
    if not keys or not client.argument_bytes:
        return None
    rest = client.argument_bytes - len(client.command)
    if too_short(client, keys):
        return False
    return _adds_up(rest, keys) if client.command in OF_LISTS else None


def exactly(client: Client, lists: Collection[Collection[str]]) -> bool:
    """Whether it is as long as a pop of one of these sets of lists, whole, that waits for 0 to 9 s, as workers do."""
    rest = client.argument_bytes - len(client.command) - 1
    return client.command in OF_LISTS and rest in {sum(map(_length, keys)) for keys in lists}


def too_short(client: Client, keys: Collection[str]) -> bool:
    """Whether none of these lists can be among its words."""
    least = min(map(_length, keys), default=0)
    return bool(client.argument_bytes) and client.argument_bytes - len(client.command) <= least


def _adds_up(rest: int, keys: Collection[str]) -> bool:
    """Whether some of the keys, each once, and a time to wait are so long together; bit n of ``sums`` stands for n."""
    sums = 1
    for one in keys:
        sums |= sums << _length(one) & (1 << rest) - 1
    return any(sums >> rest - wait & 1 for wait in range(1, LONGEST_WAIT + 1) if wait < rest)


def _length(key: str) -> int:
    return len(key.encode("utf-8", "surrogateescape"))
