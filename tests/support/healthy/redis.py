"""A healthy Redis."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.redis import (
    Client,
    ClientLimit,
    Clients,
    Connection,
    KeySize,
    LargestKeys,
    MemoryCeiling,
    Server,
    ServerTime,
)

MEMORY = {"used_memory": "9000000", "used_memory_rss": "12000000", "maxmemory": "100000000", "total_error_replies": "0"}
SERVER = Server(
    {"maxclients": "100", "connected_clients": "9", "rejected_connections": "0", "redis_version": "7.2.4", **MEMORY}
)
FACTS = (
    Connection("redis://redis-1:6379/0"),
    SERVER,
    ClientLimit(100, "INFO clients"),
    Clients((Client(7, "10.0.0.1:5000", flags="b", command="brpop"),)),
    ServerTime(NOW, NOW),
    LargestKeys((KeySize("queue:default", 4096, 1),)),
    MemoryCeiling(8_000_000_000, "MemTotal"),
)
