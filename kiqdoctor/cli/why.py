"""``kiqdoctor why``: where one job is, why it has not run, when it will."""

import json
from typing import TYPE_CHECKING, Any, Final

import click

from kiqdoctor.cli.words.once import Once
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.doctor.facts.tracing import Hit
    from kiqdoctor.doctor.why import Answer

SCHEMA: Final = "kiqdoctor.why/1"


@click.command("why", cls=Once)
@click.argument("jid", metavar="[JID]", required=False, default="")
@click.option("--class", "job_class", metavar="NAME", default="", help="Jobs of this class.")
@click.option("--queue", metavar="NAME", default="", help="Jobs of this queue.")
@click.option("--args-like", "text", metavar="TEXT", default="", help="Jobs whose arguments hold this text, as JSON.")
@click.option("--redis", metavar="URL", help="redis://, rediss:// or unix:// address to look at.")
@click.option("--namespace", metavar="NAME", help="Look at the keys under NAME: instead of the unprefixed ones.")
@click.option("--timeout", type=click.FloatRange(1.0), default=60.0, show_default=True, help="Seconds for all of it.")
@click.option("--deep", is_flag=True, help="Ask the worker that runs it where its thread stands (our runtime).")
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
    deep: bool,
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
    from kiqdoctor.examining.why import lines, why

    sought = Sought(jid, job_class, queue, text)
    if sought == Sought():
        raise click.UsageError("name a JID, or --class, --queue or --args-like")
    prefix = (namespace or "").rstrip(":") or None
    asked = Asked(redis=redis, namespace=prefix, live=True, timeout_s=timeout, deep=deep)
    found = why(sought, asked)
    click.echo(json.dumps(_document(found), indent=2) if form == "json" else "\n".join(lines(found)))
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
