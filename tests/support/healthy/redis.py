"""A healthy Redis."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.redis import Client, ClientLimit, Clients, Connection, Server, ServerTime

FACTS = (
    Connection("redis://redis-1:6379/0"),
    Server({"maxclients": "100", "connected_clients": "9", "rejected_connections": "0", "redis_version": "7.2.4"}),
    ClientLimit(100, "INFO clients"),
    Clients((Client(7, "10.0.0.1:5000", flags="b", command="brpop"),)),
    ServerTime(NOW, NOW),
)
