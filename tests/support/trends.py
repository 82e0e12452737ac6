"""Two packs whose checks judge by change: one samples, one remembers."""

from pathlib import Path
from typing import Final

SAMPLING: Final = {
    "queues/queue_grows.py": '''
"""A queue grows."""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Verdict, check
from kiqdoctor.doctor.facts.queues import Queues


@check("TRD001", severity=Severity.HIGH)
def queue_grows(queues: Series[Queues]) -> Iterator[Verdict]:
    if (lacks := queues.lacks(3, 1.0)) is not None:
        yield lacks
        return
    for queue in queues.last.all:
        if queues.grows(lambda one, name=queue.name: size(one, name)):
            yield Finding(queue.subject, f"{queue.name} only grows", "Add workers.")
    yield Evidence("readings", str(len(queues.moments)), f"{queues.window_s:.1f} s")


def size(queues: Queues, name: str) -> int:
    return sum(one.size for one in queues.all if one.name == name)
''',
    "redis/clients_refused.py": '''
"""Clients were refused."""

from collections.abc import Iterator

from kiqdoctor.doctor import Finding, Severity, Twice, Verdict, check
from kiqdoctor.doctor.facts.redis import Server


@check("TRD002", severity=Severity.HIGH)
def clients_refused(server: Twice[Server]) -> Iterator[Verdict]:
    before, after = (one.number("rejected_connections") or 0 for one in (server.first, server.last))
    if after > before:
        yield Finding("redis", f"{after - before} refused within {server.window_s:.0f} s", "")
''',
}
REMEMBERING: Final = {
    "redis/server_replaced.py": '''
"""The server is not the one that it was."""

from collections.abc import Iterator

from kiqdoctor.doctor import Earlier, Evidence, Finding, Severity, Verdict, check
from kiqdoctor.doctor.facts.redis import Server


@check("TRD003", severity=Severity.HIGH)
def server_replaced(server: Server, before: Earlier[Server]) -> Iterator[Verdict]:
    if server.info.get("redis_version") != before.fact.info.get("redis_version"):
        yield Finding("redis", f"another server since {before.at:.0f}", "")
    else:
        yield Evidence("since", f"{before.at:.0f}")
''',
}


def written(pack: dict[str, str], folder: Path) -> Path:
    """The pack as a folder of checks."""
    for path, text in pack.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.lstrip())
    return folder
