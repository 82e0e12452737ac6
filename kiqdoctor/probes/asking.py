"""How probes ask Redis for much without taking much: pages, batches, sizes before members, one budget of bytes."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kiqdoctor.connection import Command
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.text import decode
from kiqdoctor.wire.numbers import LARGEST, whole

BATCH: Final = 500  # commands in one round trip
PAGE: Final = 1_000  # SCAN's COUNT: 1.2 ms of Redis' time at worst, measured
MEMBER_LIMIT: Final = 64 * 1024  # bytes: a larger member is told by its size
READ_BUDGET: Final = 8 * 1024 * 1024  # bytes that one probe takes from Redis


def batched(redis: Redis, commands: Sequence[Command]) -> list[Any]:
    """All replies, BATCH commands a round trip; a refused command's place holds its ``Refused``."""
    replies: list[Any] = []
    for start in range(0, len(commands), BATCH):
        replies += redis.ask_all(commands[start : start + BATCH])
    return replies


def kind(redis: Redis, key: str | bytes) -> str:
    """The key's Redis type, "none" where it does not exist."""
    return word(redis.ask("TYPE", key))


def members(redis: Redis, key: str, limit: int) -> tuple[list[bytes], bool]:
    """A set's members by pages, and whether these are all of them.

    Raises:
        RefusalError: no set, or members too large to be what the key is for.
    """
    found = kind(redis, key)
    if found == "none":
        return [], True
    if found != "set":
        raise RefusalError(f"the reserved key {key} holds a {found}, not a set")
    _must_be_small(redis, key)
    seen: dict[bytes, None] = {}
    for page in _pages(redis, "SSCAN", key):
        seen.update(dict.fromkeys(page))
        if len(seen) > limit:
            return list(seen)[:limit], False
    return list(seen), True


def _must_be_small(redis: Redis, key: str) -> None:
    count = number(redis.ask("SCARD", key))
    [size] = redis.ask_all([("MEMORY", "USAGE", key, "SAMPLES", 0 if count <= PAGE else 100)])
    if isinstance(size, int) and count and size / count > MEMBER_LIMIT:
        raise RefusalError(f"the members of {key} hold {size // count} bytes each; they are not read")


def _pages(redis: Redis, command: str, *key: str) -> Iterator[list[bytes]]:
    cursor: bytes | int = 0
    while True:
        reply = redis.ask(command, *key, cursor, "COUNT", PAGE)
        cursor, page = reply
        yield page
        if cursor in {b"0", 0}:
            return


def average_sizes(redis: Redis, keys: Sequence[str | bytes], counts: Sequence[int]) -> list[float | None]:
    """Bytes per member of each key as Redis estimates them; None where it does not say."""
    commands = [("MEMORY", "USAGE", key, "SAMPLES", _samples(count)) for key, count in zip(keys, counts, strict=True)]
    replies = batched(redis, commands)
    return [
        reply / max(count, 1) if isinstance(reply, int) else None for reply, count in zip(replies, counts, strict=True)
    ]


def _samples(count: int) -> int:
    return 0 if count <= 100 else 20  # noqa: PLR2004 - 0 is all of them


def number(reply: Any) -> int:
    """A reply as an integer; 0 where it is none (wrong type). What was not permitted is no 0: raises as `granted`."""
    return whole(granted(reply), least=-LARGEST) or 0


def word(reply: Any) -> str:
    """A reply as text; "" where it is none. Raises as `granted`."""
    return decode(reply) if isinstance(granted(reply), bytes) else ""


def told(reply: Any) -> tuple[int, str]:
    """A reply as an integer, and why there is none: for who goes on without it and says so."""
    return (0, reply.reason) if isinstance(reply, Refused) else (number(reply), "")


def items(reply: Any) -> list[Any]:
    """A reply's members; [] where it has none. Raises as `granted`."""
    return reply if isinstance(granted(reply), list) else []


def seconds_left(reply: Any) -> int | None:
    """PTTL's reply in seconds; None for a key that does not end by itself, or is gone. Raises as `granted`."""
    return reply // 1000 if isinstance(granted(reply), int) and reply >= 0 else None


def granted(reply: Any) -> Any:
    """The reply.

    Raises:
        RefusalError: it is a refusal for want of a permission, of which nobody may make an answer.
    """
    if isinstance(reply, Refused) and reply.unlock:
        raise RefusalError(reply.reason, reply.unlock)
    return reply


def refused(replies: Sequence[Any]) -> Refused | None:
    """The first refusal for want of a permission among the replies."""
    return next((one for one in replies if isinstance(one, Refused) and one.unlock), None)
