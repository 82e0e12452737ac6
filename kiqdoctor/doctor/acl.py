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


def rule(probes: Iterable[Probe], *, reads_redis: bool, database: int = 0, namespace: str | None = None) -> str:
    """One line for ``ACL SETUSER NAME``: the commands of these probes once each, and the keys that they name."""
    if not reads_redis:
        return NOTHING
    mine = [*probes]
    wanted = [CONNECTING, *([OTHER_DATABASE] if database else []), *(word for one in mine for word in one.rules)]
    return " ".join(("on", *_patterns(mine, namespace or ""), *sorted(dict.fromkeys(wanted))))


def _patterns(probes: Iterable[Probe], namespace: str) -> list[str]:
    """Of keys; every key where one read cannot know which beforehand, or a pattern could not be written."""
    reads = [read for one in probes for read in one.reads if read.permission.startswith("+") and not read.fallback]
    named = {key for read in reads if not KEYLESS.issuperset(read.permission.split()) for key in read.keys}
    if "*" in named or any(letter.isspace() or not letter.isprintable() for letter in namespace):
        return [EVERY_KEY]
    prefix = f"{_literal(namespace)}:" if namespace else ""
    return [f"~{prefix}{key}" for key in sorted(named) if not _covered(key, named)]


def _covered(key: str, named: set[str]) -> bool:
    """Whether another pattern of these holds it."""
    return any(one != key and one.endswith("*") and key.startswith(one[:-1]) for one in named)


def _literal(text: str) -> str:
    """Text that a glob takes as itself."""
    return "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in text)
