"""The server's own settings, as far as checks judge them; never a password."""

from typing import Final

from kiqdoctor.doctor.facts.redis import Configuration
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import refused, word

NAMES: Final = (
    "timeout",
    "tcp-keepalive",
    "maxmemory-policy",
    "save",
    "appendonly",
    "bind",
    "protected-mode",
    "min-replicas-to-write",
    "slowlog-log-slower-than",
)


@probe(Read(f"CONFIG GET {', '.join(NAMES)}", "+config|get", "O(1) each"), lane=Lane.REDIS)
def configuration(redis: Redis) -> Configuration:
    """One name a command, for servers before 7.0 take no more; a name that one of them does not know is left out."""
    replies = redis.ask_all([("CONFIG", "GET", name) for name in NAMES])
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    pairs = [reply for reply in replies if isinstance(reply, list) and len(reply) == 2]  # noqa: PLR2004 - name, value
    if not pairs:
        raise RefusalError("the server tells nothing of its configuration", "a server that answers CONFIG GET")
    return Configuration({word(name): word(value) for name, value in pairs})
