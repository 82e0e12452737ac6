"""``kiqdoctor why``: where one job is, why it has not run, when it will."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import click

from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.doctor.facts.tracing import Hit
    from kiqdoctor.doctor.why import Answer

SCHEMA: Final = "kiqdoctor.why/1"
LOOKED_SHOWN: Final = 8
EVIDENCE_SHOWN: Final = 5


@click.command("why")
@click.argument("jid", metavar="[JID]", required=False, default="")
@click.option("--class", "job_class", metavar="NAME", default="", help="Jobs of this class.")
@click.option("--queue", metavar="NAME", default="", help="Jobs of this queue.")
@click.option("--args-like", "text", metavar="TEXT", default="", help="Jobs whose arguments hold this text, as JSON.")
@click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address to look at.")
@click.option("--namespace", metavar="NAME", help="Look at the keys under NAME: instead of the unprefixed ones.")
@click.option("--timeout", type=click.FloatRange(1.0), default=60.0, show_default=True, help="Seconds for all of it.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(
    *,
    jid: str,
    job_class: str,
    queue: str,
    text: str,
    redis: str | None,
    namespace: str | None,
    timeout: float,
    form: str,
) -> int:
    """Say where a job is, why it has not run, and when it will.

    It is looked for in queues, schedule, retry, dead, what is in flight, private lists, and other namespaces and
    databases; by its JID, or by --class, --queue and --args-like.

    Exit status 0: answered. 1: found, and something keeps it from running. 3: not all could be looked at, and it was
    not found.
    """
    from kiqdoctor.doctor.facts.tracing import Sought
    from kiqdoctor.doctor.why import status
    from kiqdoctor.examining.asked import Asked
    from kiqdoctor.examining.why import why

    sought = Sought(jid, job_class, queue, text)
    if sought == Sought():
        raise click.UsageError("name a JID, or --class, --queue or --args-like")
    asked = Asked(redis=redis, namespace=(namespace or "").rstrip(":") or None, live=True, timeout_s=timeout)
    found = why(sought, asked)
    click.echo(json.dumps(_document(found), indent=2) if form == "json" else "\n".join(_lines(found)))
    return status(found)


def _document(found: "Answer") -> dict[str, Any]:
    """As CONTRACT.md has it."""
    first = found.hits[0] if found.hits else None
    estimate = found.starts_in_s
    return {
        "schema": SCHEMA,
        "jid": clean(found.sought.jid) or None,
        "class": (first.job_class if first else clean(found.sought.job_class)) or None,
        "found": [_row(one, found.now) for one in found.hits],
        "matching": found.matching,
        "reasons": [
            {
                "check": one.check,
                "subject": clean(one.subject),
                "title": clean(one.title),
                "evidence": [
                    {"label": clean(each.label), "value": clean(each.value), "source": clean(each.source)}
                    for each in one.evidence
                ],
            }
            for one in found.reasons
        ],
        "starts_in_s": None if estimate is None else {"low": round(estimate.low, 3), "high": round(estimate.high, 3)},
        "basis": clean(found.basis),
        "looked_at": [{"place": name, "jobs": count} for name, count in found.looked_at],
        "unknown": [clean(one) for one in found.unknown],
        "told": [clean(one) for one in found.told],
    }


def _row(hit: "Hit", now: float) -> dict[str, Any]:
    return {
        "place": hit.place,
        "jid": hit.jid,
        "class": hit.job_class,
        "queue": hit.queue or None,
        "position": hit.position,
        "of": hit.of,
        "due_at": hit.due_at,
        "attempt": hit.attempt,
        "error": hit.error or None,
        "process": hit.process or None,
        "thread": hit.thread or None,
        "since_s": None if hit.since is None else round(max(0.0, now - hit.since), 3),
        "namespace": hit.namespace or None,
        "database": hit.database,
    }


def _lines(found: "Answer") -> Iterator[str]:
    sought = found.sought
    words = (sought.jid, sought.job_class, sought.queue and f"queue {sought.queue}", sought.text and "those arguments")
    name = clean(", ".join(word for word in words if word))
    if not found.hits:
        yield f"{name}: not found" + ("" if not found.unknown else ", and not all could be looked at")
    for hit in found.hits:
        yield _where(hit, found.now)
    if found.matching > len(found.hits):
        yield f"... and {found.matching - len(found.hits)} more"
    for reason in found.reasons:
        yield f"  why: {clean(reason.title)}" + (f" ({reason.check}; kiqdoctor explain it)" if reason.check else "")
        yield from (f"    {clean(one.label)}: {clean(one.value)}" for one in reason.evidence[:EVIDENCE_SHOWN])
    if found.starts_in_s is not None:
        yield f"  starts in {found.starts_in_s.low:.1f} to {found.starts_in_s.high:.1f} s: {clean(found.basis)}"
    elif len(found.hits) == 1:
        yield f"  when it starts is not known: {clean(found.basis)}"
    yield from (f"  {clean(one)}" for one in found.told)
    yield from (f"  not looked at: {clean(one)}" for one in found.unknown)
    shown = ", ".join(f"{name} ({count})" for name, count in found.looked_at[:LOOKED_SHOWN])
    more = f" and {len(found.looked_at) - LOOKED_SHOWN} more" if len(found.looked_at) > LOOKED_SHOWN else ""
    yield f"  looked at: {shown or 'nothing'}{more}"


def _where(hit: "Hit", now: float) -> str:
    """One line: the job, and where it lies."""
    said = {
        "queue": f"waits in queue {hit.queue}, {hit.position} of {hit.of} before it",
        "in-flight": f"runs in {hit.process}, thread {hit.thread}",
        "private-list": f"is in the private list of {hit.process}, from queue {hit.queue}",
    }
    where = said.get(hit.place, f"is in {hit.place}")
    if hit.namespace or hit.database is not None:
        where += f" ({hit.namespace or 'no namespace'}{'' if hit.database is None else f', database {hit.database}'})"
    if hit.due_at is not None:
        wait = hit.due_at - now
        where += f", due in {wait:.0f} s" if wait > 0 else f", overdue by {-wait:.0f} s"
    elif hit.since is not None:
        where += f", since {max(0.0, now - hit.since):.0f} s"
    if hit.attempt is not None:
        where += f", try {hit.attempt} comes next" if hit.place != "dead" else f", after {hit.attempt - 1} tries"
    return f"{hit.job_class or '?'} {hit.jid} {where}" + (f"; {hit.error}" if hit.error else "")
