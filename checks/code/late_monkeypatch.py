"""gevent or eventlet patch the standard library after something has imported what they replace.

## Why it hurts
What was imported before keeps real sockets, locks and threads: it blocks the whole loop, deadlocks, or recurses without
end in `ssl`. It works on a laptop and hangs under load.

In the log: `MonkeyPatchWarning`, `RecursionError: maximum recursion depth exceeded` in `ssl.py`.

## How it is found
Formula: high if a module's body calls `gevent.monkey.patch_all()` or `eventlet.monkey_patch()` below an import of ssl,
threading, requests, urllib3, redis or another that keeps them, its own or that of a module of the application which it
imports there; info if eventlet patches in time, for it is only maintained

Nothing is said where gunicorn or Celery was told to run greenlets (`-k gevent`, `-P gevent`): they patch first; nor of
a call under a condition.

## When it is wrong
A module that is loaded only where something else has patched before.

## Confirm by hand
`python -W error -c "import MODULE"`.

## How to fix
Make it the first statement of the module that is started, start it by `python -m gevent.monkey`, or let the server
patch (`-k gevent`). Or do without greenlets.

Risk: none.

Undo: the call in its old place.

## Unknown when
Nothing was found and files could not be parsed.

## Source
gevent, `gevent.monkey`, and its issue 1016; eventlet's README, which advises against new uses.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, NotApplicable, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Code, Patch, Patches
from kiqdoctor.doctor.rules import foreign, settled

EVENTLET = "eventlet"


@check("COD015", severity=Severity.HIGH)
def late_monkeypatch(code: Code, patches: Patches) -> Iterator[Verdict]:
    if apart := foreign(code, "python"):
        yield NotApplicable(apart)
        return
    free = [one for one in patches.sites if not one.guarded]
    found = [one for site in free if (one := _judged(code, site, patches)) is not None]
    yield from found
    if patches.before:
        yield Evidence("patched before anything is loaded", patches.before, patches.before)
    if patches.sites and not free and not patches.before:
        yield NotApplicable(f"{patches.sites[0].name} is called under a condition only")
        return
    yield from settled(code, patches, found=bool(found))


def _judged(code: Code, site: Patch, patches: Patches) -> Finding | None:
    place = code.place(site)
    if site.early and not patches.before:
        title = f"{site.name} is called after {site.early} was imported"
        way = tuple(Evidence("imports", name, "") for name in site.way)
        evidence = (Evidence("imported before", site.early, f"{place.path}:{site.early_line}"), *way)
        remedy, severity = "Make it the first statement, or let the server patch.", Severity.HIGH
    elif site.name.startswith(EVENTLET):
        title, evidence = "eventlet is only maintained: its authors advise against new uses", ()
        remedy, severity = "Move to threads or asyncio.", Severity.INFO
    else:
        return None
    return Finding(
        f"file:{place.path}",
        title,
        remedy,
        evidence,
        severity,
        location=Location(place.path, place.line, place.column),
        key=site.name,
    )
