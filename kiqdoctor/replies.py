"""What each command that reads is answered with: who answers otherwise is no Redis, and nothing of it is believed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

PAIR: Final = 2
NO_KEY: Final = -2  # PTTL of a key that is not there


def fits(name: str, command: Sequence[object], reply: Any) -> bool:
    """Whether a Redis may say that; what it refuses, and what is not known here, fits.

    ``name`` as ACL rules have it, ``MEMORY|USAGE``.
    """
    fitting = _FITTING.get(name)
    if fitting is None or isinstance(reply, Exception):
        return True
    if not fitting(reply) or (name in _ASKED and len(reply) != len(command) - _ASKED[name]):
        return False
    if name == "EXISTS":
        return bool(reply < len(command))
    return name not in _SCORED or command[-1] != "WITHSCORES" or len(reply) % PAIR == 0


def _pong(reply: Any) -> bool:
    return bool(reply == b"PONG")


def _number(reply: Any) -> bool:
    return isinstance(reply, int) and not isinstance(reply, bool)  # which is of RESP3, and nobody spoke that


def _count(reply: Any) -> bool:
    return _number(reply) and reply >= 0


def _answer(reply: Any) -> bool:
    return _number(reply) and reply in {0, 1}


def _life(reply: Any) -> bool:
    return _number(reply) and reply >= NO_KEY


def _count_or_none(reply: Any) -> bool:
    return reply is None or _count(reply)


def _text(reply: Any) -> bool:
    return reply is None or isinstance(reply, bytes)


def _said(reply: Any) -> bool:
    return isinstance(reply, bytes)


def _kind(reply: Any) -> bool:
    return isinstance(reply, bytes) and reply != b""


def _texts(reply: Any) -> bool:
    return isinstance(reply, list) and all(one is None or isinstance(one, bytes) for one in reply)


def _answers(reply: Any) -> bool:
    return isinstance(reply, list) and all(map(_answer, reply))


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

_SCORED: Final = frozenset({"ZRANGE", "ZRANGEBYSCORE", "ZREVRANGE", "ZRANDMEMBER"})
"""Commands that are answered with pairs, where the last of their words asks for scores."""

_KINDS: Final[tuple[tuple[Callable[[Any], bool], str], ...]] = (
    (_pong, "PING"),
    (_count, "EXISTS DBSIZE LLEN SCARD HLEN HSTRLEN STRLEN ZCARD ZCOUNT XLEN CLIENT|ID"),
    (_answer, "SISMEMBER HEXISTS"),
    (_life, "TTL PTTL"),
    (_count_or_none, "MEMORY|USAGE"),
    (_text, "GET LINDEX HGET ZSCORE"),
    (_kind, "TYPE"),
    (_said, "GETRANGE INFO CLIENT|LIST CLIENT|INFO"),
    (_texts, "MGET HMGET LRANGE ZRANGE ZRANGEBYSCORE ZREVRANGE SMEMBERS HKEYS"),
    (_answers, "SMISMEMBER"),
    (_pairs, "HGETALL CONFIG|GET"),
    (_time, "TIME"),
    (_page, "SCAN SSCAN HSCAN ZSCAN"),
    (_drawn, "SRANDMEMBER ZRANDMEMBER"),
)
_FITTING: Final[Mapping[str, Callable[[Any], bool]]] = {
    name: fitting for fitting, names in _KINDS for name in names.split()
}
