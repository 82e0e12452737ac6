"""The smallest ACL rule that lets the doctor read what a plan names."""

from collections.abc import Iterable
from typing import Final

from kiqdoctor.doctor.probe import Probe

CONNECTING: Final = "+ping"  # without it no connection is one
OTHER_DATABASE: Final = "+select"
EVERY_KEY: Final = "~*"
NOTHING: Final = "off"  # a user that nobody needs
KEYLESS: Final = frozenset(
    {
        "+ping",
        "+select",
        "+info",
        "+time",
        "+scan",
        "+dbsize",
        "+role",
        "+lastsave",
        "+client|list",
        "+client|info",
        "+config|get",
        "+slowlog|get",
        "+slowlog|len",
        "+latency|latest",
        "+acl|whoami",
        "+command|count",
        "+pubsub|channels",
        "+pubsub|numpat",
    }
)
"""Rules of commands that name no key."""


def rule(probes: Iterable[Probe], *, reads_redis: bool, database: int = 0) -> str:
    """One line for ``ACL SETUSER NAME``: the commands of these probes once each, and keys only where one is read."""
    if not reads_redis:
        return NOTHING
    wanted = [CONNECTING, *([OTHER_DATABASE] if database else []), *(word for one in probes for word in one.rules)]
    rules = sorted(dict.fromkeys(wanted))
    return " ".join(("on", *([] if KEYLESS.issuperset(rules) else [EVERY_KEY]), *rules))
