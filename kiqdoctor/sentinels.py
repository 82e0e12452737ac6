"""Addresses of Redis behind Sentinel: ``redis+sentinel://user:password@host:port,[v6]:port/service/0?option=value``."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote, urlencode

from kiqdoctor.records import dataclass
from kiqdoctor.wire.numbers import whole

SCHEMES: Final = ("redis+sentinel", "rediss+sentinel")
FORM: Final = "as in redis+sentinel://host:26379,host:26379/service/0"
PORT: Final = 26379
OF_SENTINEL: Final = "sentinel_"  # before an option's name: of the connections to the sentinels themselves


class SentinelError(ValueError):
    """No such address, or nobody who knows the primary; in one line, without secrets."""


@dataclass(frozen=True, slots=True)
class Sentinels:
    """Who is asked, for which service, and how that is then spoken to.

    ``options`` and ``sentinel_options`` are those that redis-py's own URLs have, among them ``ssl_ca_certs``. By
    ``rediss+sentinel`` both are spoken to by TLS; ``sentinel_tls=false`` leaves the sentinels out of that.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    database: int = 0
    username: str | None = None
    password: str | None = None
    tls: bool = False
    sentinel_tls: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    sentinel_options: Mapping[str, str] = field(default_factory=dict)

    def primary_url(self, host: str, port: int) -> str:
        """The primary's own."""
        return _url(host, port, self.tls, self.username, self.password, f"/{self.database}", self.options)

    def sentinel_url(self, host: str, port: int) -> str:
        """One of those who are asked."""
        rest = dict(self.sentinel_options)
        user, password = rest.pop("username", None), rest.pop("password", None)
        return _url(host, port, self.sentinel_tls, user, password, "", rest)


def is_one(url: str) -> bool:
    """Whether the address is of this kind."""
    return url.partition("://")[0].lower() in SCHEMES


def read(url: str) -> Sentinels:
    """What an address says.

    Raises:
        SentinelError: it cannot be read.
    """
    # Not by urlsplit, which knows one host only, and takes several in brackets for none.
    scheme, _, rest = url.partition("://")
    rest, _, text = rest.partition("?")
    places, _, path = rest.partition("/")
    userinfo, _, places = places.rpartition("@")
    try:
        hosts = tuple(_host(word) for word in places.split(","))
        service, _, database = unquote(path).strip("/").partition("/")
        number = int(database or 0)
    except ValueError:
        raise SentinelError(f"not a Sentinel URL: a host, port or database cannot be read; {FORM}") from None
    if not service or not all(host for host, _ in hosts):
        raise SentinelError(f"not a Sentinel URL: it needs hosts and a service; {FORM}")
    user, _, password = userinfo.partition(":")
    query = dict(parse_qsl(text))
    tls = scheme.lower().startswith("rediss")
    of_sentinel = {
        name.removeprefix(OF_SENTINEL): value for name, value in query.items() if name.startswith(OF_SENTINEL)
    }
    sentinel_tls = of_sentinel.pop("tls", str(tls)).lower() in {"true", "1", "yes"}
    own = {name: value for name, value in query.items() if not name.startswith(OF_SENTINEL)}
    shared = {name: value for name, value in own.items() if name.startswith("ssl_")} if sentinel_tls else {}
    return Sentinels(
        hosts, service, number, unquote(user) or None, unquote(password) or None, tls, sentinel_tls,
        own, {**shared, **of_sentinel},
    )  # fmt: skip


def shown(url: str) -> str:
    """The address without user, password and options.

    Raises:
        SentinelError: it cannot be read.
    """
    found = read(url)
    places = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in found.hosts)
    return f"{url.partition('://')[0].lower()}://{places}/{found.service}/{found.database}"


def primary(url: str, patience: float) -> str:
    """The address of the primary, as the first sentinel tells it that answers within so many seconds.

    Raises:
        SentinelError: none does, or the address cannot be read.
    """
    from kiqdoctor.resp import StepError, Wire

    asked = read(url)
    for host, port in asked.hosts:
        with suppress(StepError):
            wire = Wire(asked.sentinel_url(host, port), connect_timeout=patience, read_timeout=patience)
            try:
                words: list[tuple[str, ...]] = [("AUTH", *wire.credentials)] if wire.credentials else []
                told: Any = wire.exchange([*words, ("SENTINEL", "GET-MASTER-ADDR-BY-NAME", asked.service)])[0][-1]
            finally:
                wire.close()
            if (found := _place(told)) is not None:
                return asked.primary_url(*found)
    raise SentinelError(f"no sentinel tells where {asked.service} is")


def _place(told: Any) -> tuple[str, int] | None:
    if not isinstance(told, list) or len(told) != 2 or not all(isinstance(one, bytes) for one in told):  # noqa: PLR2004
        return None
    port = whole(told[1], least=1, most=65_535)
    return (told[0].decode("utf-8", "replace"), port) if port is not None else None


def _host(word: str) -> tuple[str, int]:
    """``host``, ``host:port``, ``[v6]``, ``[v6]:port``."""
    if word.startswith("["):
        host, bracket, port = word[1:].partition("]")
        if not bracket or (port and not port.startswith(":")):
            raise ValueError(word)
        return host, int(port[1:] or PORT)
    host, _, port = word.partition(":")
    return host, int(port or PORT)


def _url(
    host: str, port: int, tls: bool, user: str | None, password: str | None, path: str, options: Mapping[str, str]
) -> str:
    who = "" if password is None else f"{quote(user or '', safe='')}:{quote(password, safe='')}@"
    where = f"[{host}]" if ":" in host else host
    query = f"?{urlencode(options)}" if options else ""
    return f"{'rediss' if tls else 'redis'}://{who}{where}:{port}{path}{query}"
