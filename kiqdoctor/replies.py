"""What each command that reads is answered with: who answers otherwise is no Redis, and nothing of it is believed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

PAIR: Final = 2


def fits(name: str, command: Sequence[object], reply: Any) -> bool:
    """Whether a Redis may say that; what it refuses, and what is not known here, fits.

    ``name`` as ACL rules have it, ``MEMORY|USAGE``.
    """
    fitting = _FITTING.get(name)
    if fitting is None or isinstance(reply, Exception):
        return True
    return fitting(reply) and (name not in _ASKED or len(reply) == len(command) - _ASKED[name])


def _number(reply: Any) -> bool:
    return isinstance(reply, int)


def _number_or_none(reply: Any) -> bool:
    return reply is None or isinstance(reply, int)


def _text(reply: Any) -> bool:
    return reply is None or isinstance(reply, bytes)


def _said(reply: Any) -> bool:
    return isinstance(reply, bytes)


def _texts(reply: Any) -> bool:
    return isinstance(reply, list) and all(one is None or isinstance(one, bytes) for one in reply)


def _numbers(reply: Any) -> bool:
    return isinstance(reply, list) and all(isinstance(one, int) for one in reply)


def _pairs(reply: Any) -> bool:
    return _texts(reply) and len(reply) % PAIR == 0


def _time(reply: Any) -> bool:
    return _texts(reply) and len(reply) == PAIR


def _page(reply: Any) -> bool:
    return isinstance(reply, list) and len(reply) == PAIR and isinstance(reply[0], bytes) and _texts(reply[1])


def _drawn(reply: Any) -> bool:
    return _text(reply) or _texts(reply)


_ASKED: Final = {"MGET": 1, "HMGET": 2, "SMISMEMBER": 2}
"""Commands that are answered once for each of their words but the first so many."""

_KINDS: Final[tuple[tuple[Callable[[Any], bool], str], ...]] = (
    (_number, "EXISTS DBSIZE LLEN SCARD SISMEMBER HLEN HEXISTS HSTRLEN STRLEN ZCARD ZCOUNT TTL PTTL CLIENT|ID"),
    (_number_or_none, "MEMORY|USAGE"),
    (_text, "GET LINDEX HGET ZSCORE"),
    (_said, "GETRANGE TYPE INFO CLIENT|LIST CLIENT|INFO"),
    (_texts, "MGET HMGET LRANGE ZRANGE ZRANGEBYSCORE ZREVRANGE SMEMBERS HKEYS"),
    (_numbers, "SMISMEMBER"),
    (_pairs, "HGETALL CONFIG|GET"),
    (_time, "TIME"),
    (_page, "SCAN SSCAN HSCAN ZSCAN"),
    (_drawn, "SRANDMEMBER ZRANDMEMBER"),
)
_FITTING: Final[Mapping[str, Callable[[Any], bool]]] = {
    name: fitting for fitting, names in _KINDS for name in names.split()
}
