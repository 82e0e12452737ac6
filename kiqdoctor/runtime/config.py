"""Which Redis and namespace the runtime uses, for clients and workers alike, and what goes around jobs."""

import os
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from kiqdoctor import sentinels
from kiqdoctor.connection import UrlError, resolve_url, shown_url
from kiqdoctor.runtime.frameworks import OPENTELEMETRY, integration
from kiqdoctor.runtime.hearing import Hook, JobHandler
from kiqdoctor.runtime.middleware import ClientMiddleware, ServerMiddleware
from kiqdoctor.sentinels import Sentinels
from kiqdoctor.wire.connections import PUSHING
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

READ_TIMEOUT: Final = 10.0  # seconds; longer than any blocking command that we send
CONNECT_TIMEOUT: Final = 5.0  # seconds

_keys: Final = cache(Keys)
Recovered = Callable[[str, Sequence[dict[str, Any]]], Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """An address, the namespace of its keys, and what goes around pushes and runs."""

    url: str
    namespace: str | None = None
    middleware: tuple[ServerMiddleware, ...] = ()
    client_middleware: tuple[ClientMiddleware, ...] = ()
    death_handlers: tuple[JobHandler, ...] = ()
    error_handlers: tuple[JobHandler, ...] = ()
    on_startup: tuple[Hook, ...] = ()
    on_quiet: tuple[Hook, ...] = ()
    on_shutdown: tuple[Hook, ...] = ()
    on_recovered: tuple[Recovered, ...] = ()
    resend: bool = False
    wait_replicas: int = 0

    @property
    def keys(self) -> Keys:
        """Key names under the namespace."""
        return _keys(self.namespace)

    @property
    def where(self) -> str:
        """The address without secrets."""
        if sentinels.is_one(self.url):
            found = sentinels.read(self.url)
            return f"{found.service} by Sentinel at {', '.join(f'{host}:{port}' for host, port in found.hosts)}"
        return shown_url(self.url)


class _Current:
    """What ``configure`` said, and the pool that was made for it; a child after fork makes its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.settings: Settings | None = None
        self.client: Redis | None = None
        self.pid = 0


_current = _Current()


def configure(
    *,
    redis: str | None = None,
    namespace: str | None = None,
    middleware: Sequence[ServerMiddleware] = (),
    client_middleware: Sequence[ClientMiddleware] = (),
    death_handlers: Sequence[JobHandler] = (),
    error_handlers: Sequence[JobHandler] = (),
    on_startup: Sequence[Hook] = (),
    on_quiet: Sequence[Hook] = (),
    on_shutdown: Sequence[Hook] = (),
    on_recovered: Sequence[Recovered] = (),
    resend: bool = False,
    wait_replicas: int = 0,
) -> None:
    """Say which Redis jobs go to, and what goes around them; without an address the environment decides.

    - ``redis``: ``redis://``, ``rediss://``, ``unix://``, or ``redis+sentinel://host:port,host:port/service/db``.
    - ``middleware``: around each run, the first outermost: ``def timed(job, proceed): ...; proceed()``.
    - ``client_middleware``: around each push; gets the payload's fields and may change them.
    - ``death_handlers``: called with the payload's fields and the error when a job will not be tried again.
    - ``error_handlers``: called with the same whenever a job failed, before it is tried again or dies.
    - ``on_startup``, ``on_quiet``, ``on_shutdown``: called without arguments in each worker process: before it takes
      jobs (one that raises keeps it from starting), when it takes no more, and when all its jobs have ended.
    - ``on_recovered``: called with a dead process's identity and the payloads that it held.
    - ``resend``: a push whose reply was lost is sent again under the same jid, instead of MaybeEnqueued.
    - ``wait_replicas``: a push waits until so many replicas have it.

    A worker that was given another address on its command line keeps that.

    Raises:
        kiqdoctor.connection.UrlError: the address is no Redis URL.
        TypeError: no list of callables where one is meant.
    """
    server, client_side = _traced()
    found = Settings(
        _address(redis, "configure(redis=...)"),
        (namespace or "").rstrip(":") or None,
        (*server, *_callables("middleware", middleware)),
        (*client_side, *_callables("client_middleware", client_middleware)),
        _callables("death_handlers", death_handlers),
        _callables("error_handlers", error_handlers),
        _callables("on_startup", on_startup),
        _callables("on_quiet", on_quiet),
        _callables("on_shutdown", on_shutdown),
        _callables("on_recovered", on_recovered),
        resend,
        wait_replicas,
    )
    with _current.lock:
        _current.settings = found
        _current.client = None


def _traced() -> tuple[tuple[ServerMiddleware, ...], tuple[ClientMiddleware, ...]]:
    """OpenTelemetry's, where the process traces: its code does, or variables say where traces go."""
    asked = any(name.startswith("OTEL_") for name in os.environ)
    if OPENTELEMETRY not in sys.modules and not asked:
        return (), ()
    tracing = integration(OPENTELEMETRY)
    if (
        not tracing.available()
        or not (asked or tracing.used())
        or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    ):
        return (), ()
    server, client_side = tracing.middleware()
    return (server,), (client_side,)


def _callables(name: str, given: Any) -> tuple[Any, ...]:
    """What would fail at the first job, or at the end of the process, is told where it is written."""
    found = tuple(given) if isinstance(given, Iterable) else ()
    if not isinstance(given, Iterable) or not all(map(callable, found)):
        raise TypeError(f"{name} is a list of callables, as in {name}=[call], not {given!r}")
    return found


def _address(option: str | None, said: str = "--redis") -> str:
    if option is not None and sentinels.is_one(option):
        try:
            sentinels.read(option)
        except sentinels.SentinelError as error:
            raise UrlError(str(error)) from None
        return option
    return resolve_url(option, os.environ, said).url


def override(*, redis: str | None, namespace: str | None) -> None:
    """What the command line says wins over what a module configured; the rest stays.

    Raises:
        kiqdoctor.connection.UrlError: the address is no Redis URL.
    """
    if _current.settings is None:
        configure(redis=None if redis is None else _address(redis), namespace=namespace)
        return
    known = _current.settings
    if redis is None and namespace is None:
        return
    with _current.lock:
        _current.settings = replace(
            known,
            url=_address(redis) if redis is not None else known.url,
            namespace=namespace.rstrip(":") or None if namespace is not None else known.namespace,
        )
        _current.client = None


def current() -> Settings:
    """The settings in force."""
    if _current.settings is None:
        configure()
    assert _current.settings is not None  # noqa: S101 - configure sets it
    return _current.settings


def client() -> "Redis":
    """The clients' shared connection pool, made at its first use in each process."""
    settings = current()
    with _current.lock:
        if _current.client is None or _current.pid != os.getpid():
            _current.client = connect(settings, PUSHING)
            _current.pid = os.getpid()
        return _current.client


def connect(settings: Settings, connections: int, *, name: str | None = None) -> "Redis":
    """A client with a pool of at most so many connections, which callers wait for; retries nothing by itself."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    from kiqdoctor.runtime.inturn import InTurn

    options: dict[str, Any] = {
        "socket_timeout": READ_TIMEOUT,
        "socket_connect_timeout": CONNECT_TIMEOUT,
        "retry": Retry(NoBackoff(), 0),
        "client_name": name,
        "protocol": 2,
        "health_check_interval": 0,
    }
    if "rediss" not in urlsplit(settings.url).scheme:
        # Two commands fewer for each connection. By TLS they are sent: a connection whose handshake left something
        # unread is taken for a broken one, and only a reply that is read clears that away.
        options["driver_info"] = None
    if sentinels.is_one(settings.url):
        return _by_sentinel(sentinels.read(settings.url), options)
    pool = redis.BlockingConnectionPool.from_url(
        settings.url, max_connections=connections, timeout=READ_TIMEOUT, queue_class=InTurn, **options
    )
    return redis.Redis(connection_pool=pool)


def _by_sentinel(asked: Sentinels, options: dict[str, Any]) -> "Redis":
    """What a URL of one server may say holds here, too: user, TLS and its certificates, any option of redis-py's."""
    from redis.connection import parse_url
    from redis.sentinel import Sentinel

    def words(url: str) -> dict[str, Any]:
        read: Any = parse_url
        found: dict[str, Any] = dict(read(url))
        for name in ("host", "port", "connection_class"):
            found.pop(name, None)
        return found

    first = asked.hosts[0]
    theirs = {"protocol": 2, "socket_timeout": 2.0, "socket_connect_timeout": 2.0, **words(asked.sentinel_url(*first))}
    if asked.sentinel_tls:
        theirs["ssl"] = True
    ours = {**options, **words(asked.primary_url(*first))}
    if asked.tls:
        ours["ssl"] = True
        ours.pop("driver_info", None)
    sentinel: Any = Sentinel
    found: Redis = sentinel(list(asked.hosts), sentinel_kwargs=theirs).master_for(asked.service, **ours)
    return found
