"""A healthy Redis."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.redis import (
    Client,
    ClientLimit,
    Clients,
    Configuration,
    Connection,
    Exposure,
    Greeting,
    KeySize,
    LargestKeys,
    MemoryCeiling,
    Pings,
    Server,
    ServerTime,
    SlowCommands,
)

MEMORY = {"used_memory": "9000000", "used_memory_rss": "12000000", "maxmemory": "100000000", "total_error_replies": "0"}
SAVING = {"rdb_last_bgsave_status": "ok", "aof_last_write_status": "ok", "aof_enabled": "1", "connected_slaves": "0"}
SERVER = Server(
    {
        "maxclients": "100",
        "connected_clients": "9",
        "rejected_connections": "0",
        "redis_version": "7.2.4",
        "redis_mode": "standalone",
        "run_id": "a",
        "role": "master",
        "maxmemory_policy": "noeviction",
        "evicted_keys": "0",
        "cluster_enabled": "0",
        "cmdstat_info": "calls=1",
        **MEMORY,
        **SAVING,
    }
)
CONFIGURATION = Configuration(
    {
        "timeout": "0",
        "tcp-keepalive": "300",
        "save": "3600 1",
        "appendonly": "yes",
        "bind": "10.0.0.2",
        "protected-mode": "yes",
        "min-replicas-to-write": "0",
    }
)
FACTS = (
    Connection("redis://redis-1:6379/0"),
    SERVER,
    ClientLimit(100, "INFO clients"),
    Clients((Client(7, "10.0.0.1:5000", flags="b", command="brpop"),)),
    ServerTime(NOW, NOW),
    LargestKeys((KeySize("queue:default", 4096, 1),)),
    MemoryCeiling(8_000_000_000, "MemTotal"),
    CONFIGURATION,
    Greeting(),
    Pings((0.2,) * 20, (0.1,) * 20),
    SlowCommands(),
    Exposure("10.0.0.2", open=False, answer="NOAUTH Authentication required."),
)
