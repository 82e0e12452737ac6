"""Which Redis and namespace the runtime uses, for clients and workers alike, and the connections to it."""

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kiqdoctor.connection import resolve_url
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

CLIENT_CONNECTIONS = 10  # that callers of perform_async share
READ_TIMEOUT = 10.0  # seconds; longer than any blocking command that we send


@dataclass(frozen=True, slots=True)
class Settings:
    """An address, and the namespace of its keys."""

    url: str
    namespace: str | None = None

    @property
    def keys(self) -> Keys:
        """Key names under the namespace."""
        return Keys(self.namespace)


class _Current:
    """What ``configure`` said, and the pool that was made for it; a child after fork makes its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.settings: Settings | None = None
        self.client: Redis | None = None
        self.pid = 0


_current = _Current()


def configure(*, redis: str | None = None, namespace: str | None = None) -> None:
    """Say which Redis jobs go to; without it the environment decides, as for ``kiqdoctor check``.

    Raises:
        kiqdoctor.connection.UrlError: the address is no Redis URL.
    """
    address = resolve_url(redis, os.environ)
    with _current.lock:
        _current.settings = Settings(address.url, (namespace or "").rstrip(":") or None)
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
            _current.client = connect(settings, CLIENT_CONNECTIONS)
            _current.pid = os.getpid()
        return _current.client


def connect(settings: Settings, connections: int, *, name: str | None = None) -> "Redis":
    """A client with a pool of at most so many connections, which callers wait for; retries nothing by itself."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    options: dict[str, Any] = {
        "max_connections": connections,
        "timeout": READ_TIMEOUT,
        "socket_timeout": READ_TIMEOUT,
        "socket_connect_timeout": 5.0,
        "retry": Retry(NoBackoff(), 0),
        "client_name": name,
        "protocol": 2,
        "health_check_interval": 0,
    }
    pool = redis.BlockingConnectionPool.from_url(settings.url, **options)
    return redis.Redis(connection_pool=pool)
