"""Calls of Python's libraries over the network, and what limits each."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.code import NetworkCall, Timeout
from kiqdoctor.probes.code.limits import HTTP, Library, Limit
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names

ADAPTED: Final = ("requests.Session()", "requests.session()")
"""Objects for which adapters may say it."""
PARTIAL: Final = "functools.partial()"
REDIS: Final = tuple(
    f"redis.{maker}().{verb}"
    for maker in ("Redis", "StrictRedis", "from_url", "Redis.from_url")
    for verb in ("get", "set", "delete", "exists", "expire", "incr", "decr", "mget", "hget", "hset", "hgetall",
                 "lpush", "rpush", "llen", "lrange", "sadd", "srem", "smembers", "zadd", "zrange", "publish", "ping")
)  # fmt: skip
"""Commands that block nobody."""
DSN: Final = frozenset({"psycopg.connect", "psycopg2.connect"})
"""Calls whose first argument may hold the limit within its text."""
PYTHON: Final[dict[str, Library]] = {
    **{f"{owner}.{verb}": Library() for owner in ("requests", *ADAPTED) for verb in HTTP},
    **{f"{owner}.send": Library() for owner in ADAPTED},
    **{
        f"httpx{owner}.{verb}": Library(default=Timeout.DEFAULT)
        for owner in ("", ".Client()", ".AsyncClient()")
        for verb in (*HTTP, "stream")
    },
    **{f"aiohttp.ClientSession().{verb}": Library(default=Timeout.DEFAULT) for verb in HTTP},
    **{f"urllib3.PoolManager().{verb}": Library() for verb in ("request", "urlopen")},
    "urllib.request.urlopen": Library(position=2),
    "socket.create_connection": Library(position=1),
    "http.client.HTTPConnection": Library(position=2),
    "http.client.HTTPSConnection": Library(),
    "smtplib.SMTP": Library(position=3),
    "smtplib.SMTP_SSL": Library(),
    "ftplib.FTP": Library(position=4),
    "ftplib.FTP_TLS": Library(),
    "imaplib.IMAP4": Library(position=2),
    "imaplib.IMAP4_SSL": Library(),
    "poplib.POP3": Library(position=2),
    "poplib.POP3_SSL": Library(),
    "paramiko.SSHClient().connect": Library(),
    "redis.Redis": Library(("socket_timeout",), default=Timeout.DEFAULT),
    "redis.from_url": Library(("socket_timeout",), default=Timeout.DEFAULT),
    "redis.Redis.from_url": Library(("socket_timeout",), default=Timeout.DEFAULT),
    **{name: Library(("socket_timeout",), default=Timeout.DEFAULT) for name in REDIS},
    "psycopg.connect": Library(("connect_timeout",)),
    "psycopg2.connect": Library(("connect_timeout",)),
}
"""Python's. httpx has 5 s, aiohttp 300 s; redis-py none up to 7 and 5 s from 8 on."""


class Reader:
    """Reads the calls of every function of one application."""

    def __init__(self, names: Names) -> None:
        self._names = names
        mounts = {f"{maker}.mount": maker for maker in ADAPTED}
        calls = ((unit.module, names.resolved(dotted)) for unit in names.units for _, dotted in unit.calls)
        self._adapted = {(module, mounts[name]) for module, name in calls if name in mounts}

    def calls(self, function: Function) -> Iterator[NetworkCall]:
        """Those of one function."""
        for asked, dotted in function.calls:
            name, call = self._whole(function, asked, self._names.resolved(dotted))
            library = PYTHON.get(name)
            if library is not None and not (name in REDIS and self._told_where_made(function, call)):
                timeout, seconds = self._limit(function, call, library)
                adapted = (function.module, name.rpartition(".")[0]) in self._adapted
                if timeout is Timeout.NONE and (adapted or (name in DSN and self._may_say(function, call))):
                    timeout = Timeout.UNKNOWN
                yield NetworkCall(function.number, *function.at(call), name, timeout, seconds)

    def _whole(self, function: Function, call: ast.Call, name: str) -> tuple[str, ast.Call]:
        """What is called; of ``functools.partial(requests.get, timeout=3)`` with what that gave already."""
        made, where = self._names.valued(function, call.func) if name == PARTIAL else (None, function)
        if not isinstance(made, ast.Call) or not made.args:
            return name, call
        whole = ast.Call(made.args[0], [*made.args[1:], *call.args], [*call.keywords, *made.keywords])
        return self._names.spelt(made.args[0], where), ast.copy_location(whole, call)

    def _told_where_made(self, function: Function, call: ast.Call) -> bool:
        """Whether the client is made by what runs, which is a call of its own; no module's."""
        where = self._names.valued(function, call.func.value)[1] if isinstance(call.func, ast.Attribute) else function
        return bool(where.name)

    def _limit(self, function: Function, call: ast.Call, library: Library) -> Limit:
        """What the call says, else what the object was made with, else what the library does."""
        said = self._said(function, call, library.keywords, library.position)
        if said is None and isinstance(call.func, ast.Attribute):
            maker, where = self._names.valued(function, call.func.value)
            said = self._said(where, maker, library.keywords, None) if isinstance(maker, ast.Call) else None
        return said or (library.default, None)

    def _may_say(self, function: Function, call: ast.Call) -> bool:
        """Whether the text that it is given may hold the limit."""
        given = [*call.args, *(one.value for one in call.keywords if one.arg in {"dsn", "conninfo"})]
        text = self._names.valued(function, given[0])[0] if given else ast.Constant("")
        return not isinstance(text, ast.Constant) or "connect_timeout" in str(text.value)

    def _said(
        self, function: Function, call: ast.Call, keywords: tuple[str, ...], position: int | None
    ) -> Limit | None:
        given = next((one.value for one in call.keywords if one.arg in keywords), None)
        if given is None and position is not None and len(call.args) > position:
            given = call.args[position]
        if given is not None:
            return _time(*self._names.valued(function, given))
        for spread in (one.value for one in call.keywords if one.arg is None):
            options, where = self._names.valued(function, spread)
            if not isinstance(options, ast.Dict):
                return Timeout.UNKNOWN, None
            for key, value in zip(options.keys, options.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in keywords:
                    return _time(*self._names.valued(where, value))
        return None


def _time(node: ast.expr, function: Function) -> Limit:
    """A number, the longest of several, nothing, or what cannot be told."""
    if isinstance(node, ast.Constant) and node.value is None:
        return Timeout.NONE, None
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float):
        return Timeout.GIVEN, float(node.value)
    if isinstance(node, ast.Tuple | ast.List) and node.elts:
        times = [_time(one, function) for one in node.elts]
        return max(times, key=lambda one: (one[0] is Timeout.NONE, one[1] or 0.0))
    if isinstance(node, ast.Call) and "imeout" in function.module.dotted(node.func, function):
        inside = [*node.args, *(one.value for one in node.keywords)]
        return _time(inside[0], function) if inside else (Timeout.UNKNOWN, None)
    return Timeout.UNKNOWN, None
