"""Jobs one after another: each is pushed by the end of the one before it, in the same atomic step."""

from collections.abc import Sequence
from typing import Any

from kiqdoctor.runtime import client
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.sending import Push
from kiqdoctor.wire import codec
from kiqdoctor.wire.fields import ENQUEUED_AT, EXPIRY, NEXT


def chain(*links: "Job[..., Any] | tuple[Any, ...]") -> list[str]:
    """Push the first; each of the others follows when the one before it has succeeded. Their jids, in order.

    Each is a job, or a job and its arguments; nothing is handed on between them. A job that dies keeps the rest: tried
    again by hand it goes on. Only our own workers know chains: Ruby's run the first link.

    Raises:
        ValueError: no link, one that is no job, or a later one with ``unique_for``.
        TypeError: a call that does not fit, or an argument without JSON form.
    """
    if not links:
        raise ValueError("a chain needs a job")
    pushes = [push for number, link in enumerate(links) for push in _push(link, later=number > 0)]
    if not pushes:
        return []
    first, *rest = pushes
    if rest:
        first.raw = codec.encode_payload({**first.fields, NEXT: [_bare(push) for push in rest]})
    [jid] = client.deliver([first])
    return [jid, *(push.jid for push in rest)]


def _push(link: Any, *, later: bool) -> Sequence[Push]:
    job, *args = link if isinstance(link, tuple) else (link,)
    if not isinstance(job, Job):
        raise ValueError(f"a chain's links are jobs, or (job, arguments...), not {link!r}")
    if later and job.options.unique_for is not None:
        raise ValueError(f"{job.name} is unique: whether there is another is not asked within a chain")
    placed, named = job.lay(args, {})
    return client.prepare(job.name, [placed], job.options, keywords=named)


def _bare(push: Push) -> dict[str, Any]:
    """Without what is known when it is pushed."""
    return {name: value for name, value in push.fields.items() if name not in {ENQUEUED_AT, EXPIRY}}
