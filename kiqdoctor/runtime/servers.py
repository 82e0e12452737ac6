"""Which servers can hold the queues of a worker."""

from typing import Any, Final

OLDEST: Final = (6, 2)


class ServerError(Exception):
    """This Redis cannot hold the queues of a worker; in one line."""


def fit(client: Any) -> None:
    """Refuse what would lose jobs, in one line, before anything is taken.

    Raises:
        ServerError: it is too old, or a cluster.
    """
    client.ping()
    found = client.info("server")
    version = tuple(int(part) for part in str(found.get("redis_version", "0")).split(".")[:2] if part.isdigit())
    if version < OLDEST:
        raise ServerError(f"Redis {found.get('redis_version')} is too old: a worker needs 6.2 or later, or Valkey")
    if found.get("redis_mode") == "cluster":
        raise ServerError("this is a Redis Cluster; the queues need one primary, as Sidekiq's do: use Sentinel instead")
