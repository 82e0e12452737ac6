"""Which servers can hold the queues of a worker."""

from collections.abc import Sequence
from typing import Any, Final

from kiqdoctor.runtime import log
from kiqdoctor.runtime.permissions import missing
from kiqdoctor.wire.keys import Keys

OLDEST: Final = (6, 2)
PAGE: Final = "the smallest ACL in docs/runtime.md"


class ServerError(Exception):
    """This Redis cannot hold the queues of a worker, or does not let us; in one line."""


def fit(client: Any, keys: Keys, queues: Sequence[str], identity: str) -> None:
    """Refuse what would lose jobs, in one line, before anything is taken.

    Raises:
        ServerError: it is too old, a cluster, or this user may not do what a worker must.
    """
    import redis

    try:
        client.ping()
        lacking = missing(client, keys, queues, identity)
    except redis.exceptions.NoPermissionError as error:
        raise ServerError(f"this Redis user may not do what a worker must: {error}; see {PAGE}") from None
    if lacking.needed:
        raise ServerError(
            f"this Redis user lacks {', '.join(lacking.needed)}: jobs would be lost or run for ever; see {PAGE}"
        )
    if lacking.other:
        log.warn(f"this Redis user lacks {', '.join(lacking.other)}: what needs that will fail; see {PAGE}")
    found = client.info("server")
    version = tuple(int(part) for part in str(found.get("redis_version", "0")).split(".")[:2] if part.isdigit())
    if version < OLDEST:
        raise ServerError(f"Redis {found.get('redis_version')} is too old: a worker needs 6.2 or later, or Valkey")
    if found.get("redis_mode") == "cluster":
        raise ServerError("this is a Redis Cluster; the queues need one primary, as Sidekiq's do: use Sentinel instead")
