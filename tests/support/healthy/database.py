"""A pool as large as its threads, on a server that takes them all."""

from kiqdoctor.doctor.facts.database import Ceiling, Pool, Pools

POOL = Pool("config/database.yml", 3, "activerecord", "Procfile", 1, 5, 5, 1)
FACTS = (Pools((POOL,), (Ceiling(100, "max_connections in postgresql.conf:1"),)),)
