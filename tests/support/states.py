"""States of a real Redis, written as the systems that they imitate write them."""

import json
import time
from typing import Any

import redis as redis_py

JID = "0123456789abcdef01234567"


def payload(job_class: str = "SendMail", queue: str = "default", **fields: Any) -> str:
    now = time.time()
    job = {"class": job_class, "args": [1], "queue": queue, "jid": JID, "retry": True}
    return json.dumps({**job, "created_at": now, "enqueued_at": now, **fields}, separators=(",", ":"))


def push(client: redis_py.Redis, queue: str = "default", count: int = 1, prefix: str = "") -> None:
    client.sadd(f"{prefix}queues", queue)
    client.lpush(f"{prefix}queue:{queue}", *[payload(queue=queue) for _ in range(count)])


def beat(
    client: redis_py.Redis,
    identity: str = "other-host:71:0123456789ab",
    *,
    age: float = 1.0,
    prefix: str = "",
    queues: tuple[str, ...] = ("default",),
    concurrency: int = 5,
    version: str = "7.3.9",
    ttl: int = 59,
    **fields: Any,
) -> None:
    """One live process, as its heartbeat leaves it."""
    host, pid, _ = identity.rsplit(":", 2)
    info = {"hostname": host, "pid": int(pid), "started_at": time.time() - 600, "tag": "shop", "labels": []}
    info |= {"concurrency": concurrency, "queues": list(queues), "identity": identity, "version": version}
    client.sadd(f"{prefix}processes", identity)
    record: dict[Any, Any] = {
        "info": json.dumps(info),
        "busy": 0,
        "beat": time.time() - age,
        "quiet": "false",
        **fields,
    }
    client.hset(f"{prefix}{identity}", mapping=record)
    client.expire(f"{prefix}{identity}", ttl)
    client.incrby(f"{prefix}stat:processed", 1)


def in_flight(client: redis_py.Redis, identity: str, count: int = 1, *, name: str = "work") -> None:
    entries: dict[Any, Any] = {
        f"t{number}": json.dumps({"queue": "default", "payload": payload(), "run_at": int(time.time())})
        for number in range(count)
    }
    client.hset(f"{identity}:{name}", mapping=entries)
    client.expire(f"{identity}:{name}", 50)
