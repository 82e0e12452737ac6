"""What a core file tells, in words and as JSON, schema ``kiqdoctor.core/1`` of CONTRACT.md."""

from collections.abc import Iterator
from typing import Any, Final

from kiqdoctor.doctor.facts.cores import Crashed, NativeFrame, RunningJob
from kiqdoctor.text import LONG, clean

SCHEMA: Final = "kiqdoctor.core/1"
SHOWN: Final = 24  # native frames, as text
COLLECT: Final = (
    "for a report: this output, kiqdoctor native, the log around the crash, and what the job was given, by hand;"
    " never the core itself, which holds arguments and secrets"
)


def document(found: Crashed, next_time: tuple[str, ...]) -> dict[str, Any]:
    """As plain values."""
    culprit = found.culprit
    package = clean(culprit.owner.name) if culprit is not None and culprit.owner is not None else ""
    return {
        "schema": SCHEMA,
        "signal": found.signal,
        "raised": found.raised or None,
        "fault_address": f"0x{found.address:x}" if found.address is not None else None,
        "stack_overflow": found.overflowed,
        "sent_by": found.sender,
        "executable": clean(found.executable, LONG),
        "pid": found.pid,
        "language": found.language or None,
        "frames": [{"function": clean(one.function, LONG) or None, **_whose(one)} for one in found.frames],
        "frames_by": found.frames_by,
        "culprit": _whose(culprit) if culprit is not None else None,
        "stack": None if found.stack is None else [
            {"function": clean(one.function), "file": clean(one.file), "line": one.line} for one in found.stack
        ],
        "stack_by": found.stack_by or None,
        "job": _job(found.job) if found.job is not None else None,
        "other_jobs": [_job(one) for one in found.others],
        "advisories": [
            {"id": one.id, "package": package,
             "kind": one.kind, "what": one.what, "remedy": one.remedy, "evidence": list(one.evidence)}
            for one in found.advisories
        ],
        "missing": [clean(one, LONG) for one in found.missing],
        "collect": COLLECT,
        "next_time": [clean(one, LONG) for one in next_time],
    }  # fmt: skip


def _whose(one: NativeFrame) -> dict[str, str | None]:
    whose = one.owner
    return {
        "library": clean(one.library, LONG) or None,
        "package": clean(whose.name) if whose is not None else None,
        "version": (clean(whose.version) or None) if whose is not None else None,
    }


def _job(one: RunningJob) -> dict[str, Any]:
    return {"jid": one.jid, "class": one.job_class, "queue": one.queue, "began_at": one.since}


def lines(found: Crashed, next_time: tuple[str, ...]) -> Iterator[str]:
    """What happened and who is to blame first; then the stacks; then what is missing and what to do."""
    yield f"{clean(found.executable, LONG) or 'a program that it does not name'} (pid {found.pid}): {_why(found)}"
    yield f"in {_named(found.culprit)}" if found.culprit is not None else _nobody(found)
    if found.job is not None:
        yield f"it ran {_said(found.job)}"
    yield from (f"lost or given back with it: {_said(one)}" for one in found.others)
    for one in found.advisories:
        yield f"known of this package: {one.id} {one.what}. {one.remedy}"
    if found.stack is not None:
        yield f"{found.language.capitalize()}'s stack of that thread, by {found.stack_by}, innermost first:"
        yield from (f"  {clean(one.file)}:{one.line} in {clean(one.function)}" for one in found.stack)
    yield f"native calls, by {found.frames_by}, innermost first:"
    yield from (f"  {clean(one.function, LONG) or '?'} in {_named(one)}" for one in found.frames[:SHOWN])
    if len(found.frames) > SHOWN:
        yield f"  {len(found.frames) - SHOWN} more"
    yield from (f"missing: {clean(one, LONG)}" for one in found.missing)
    yield COLLECT
    yield "the next time:"
    yield from (f"  {clean(one, LONG)}" for one in next_time)


def _why(found: Crashed) -> str:
    told = found.signal
    if found.raised:
        told = f"{found.raised}, after which its handler raised {found.signal}"
    if found.address is not None:
        told += f", at address 0x{found.address:x}"
    if found.overflowed:
        told += ", beyond the end of its stack: calls went too deep"
    if found.sender is not None and found.sender != found.pid:
        told += f", sent by process {found.sender}"
    return told


def _nobody(found: Crashed) -> str:
    if found.faulted is None:
        return "which library is to blame is not known"
    if not found.faulted and found.signal != "SIGABRT":
        return "no library is to blame: the signal was sent, no instruction failed"
    return "no library beside the interpreter and the C library was seen to be at fault"


def _named(one: NativeFrame) -> str:
    whose = f" ({clean(one.owner.name)} {clean(one.owner.version)})" if one.owner is not None else ""
    return f"{clean(one.library, LONG) or 'no file'}{whose}"


def _said(one: RunningJob) -> str:
    return f"class={one.job_class} jid={one.jid} queue={one.queue}"
