"""The web UI is open to everybody who reaches it.

## Why it hurts
It shows job arguments, retries, deletes and kills jobs, and stops workers. Search engines and scanners find it.

In the log: nothing; in the web server's, GETs of `/sidekiq` from addresses that nobody knows.

## How it is found
Formula: fails if the root, asked without credentials, answers 200 with Sidekiq's own pages: critical from an address
that is not loopback, high on loopback; or a file mounts it with no condition, constraint or login around it and no
middleware of its own (high in a config.ru, medium in routes, which a proxy may guard)

Sidekiq's page is told by its title and by the links to its pages; `/stats` is asked for too. 401, 403 and a redirect to
another page are what is wanted.

## When it is wrong
A network that only the right people are in. Then suppress it there, with that reason.

## Confirm by hand
`curl -i URL`, `curl -i URL/stats`, without credentials.

## How to fix
In Rails `authenticate :user, ->(user) { user.admin? } do mount Sidekiq::Web => "/sidekiq" end`; elsewhere
`Sidekiq::Web.use Rack::Auth::Basic`, or the proxy's own authentication. The doctor then takes --web-user NAME:PASSWORD.

Risk: whoever used it without a login needs one, monitors of `/stats` too.

Undo: take the line out again.

## Unknown when
The address does not answer, or answers something that is neither Sidekiq's page nor a refusal.

## Source
lib/sidekiq/web.rb, `use`; Sidekiq's wiki, Monitoring.
"""

from collections.abc import Iterator
from ipaddress import ip_address

from kiqdoctor.doctor import (
    Evidence,
    Finding,
    Location,
    Missing,
    Severity,
    Unknown,
    Verdict,
    check,
)
from kiqdoctor.doctor.facts.web import WebDoor, WebFiles
from kiqdoctor.doctor.halves import either

REMEDY = "Put it behind a login: an authenticated route, Rack::Auth::Basic, or the proxy's own authentication."


@check("WEB001", severity=Severity.CRITICAL)
def ui_open(door: WebDoor | Missing, files: WebFiles | Missing) -> Iterator[Verdict]:
    yield from either(door, files, _visited, _in_files)


def _in_files(files: WebFiles) -> Iterator[Verdict]:
    """Mounts that nothing around them guards, and no middleware."""
    auth = files.said("auth")
    for one in files.mounts:
        where = f"{one.path}:{one.line}"
        if one.guards or auth:
            told = one.guards[-1] if one.guards else f"middleware in {auth[0].path}:{auth[0].line}"
            yield Evidence("mounted behind", told, where)
            continue
        hidden = any(part.startswith(".") for part in one.path.split("/")[:-1])
        trial = (Evidence("for trials", "an application in a hidden folder", one.path),) if hidden else ()
        yield Finding(
            f"file:{one.path}",
            f"{one.path} mounts Sidekiq's web UI, and no file asks who comes there",
            REMEDY,
            (Evidence("mounted", "with nothing around it", where), *trial),
            Severity.LOW if hidden else Severity.HIGH if one.rack else Severity.MEDIUM,
            location=Location(one.path, one.line),
            key="mount",
        )


def _visited(door: WebDoor) -> Iterator[Verdict]:
    seen = (
        Evidence("address", door.address or "not told", door.url),
        Evidence("status without credentials", str(door.status), f"GET {door.url}"),
        Evidence("title", door.title or "none", "the page"),
        Evidence("/stats without credentials", "shown" if door.counted else "not shown", "GET /stats"),
    )
    if door.shown:
        here = _loopback(door.address)
        severity = Severity.CRITICAL.milder if here else Severity.CRITICAL
        title = "Sidekiq's web UI asks nobody who he is"
        yield Finding("web", f"{title} (on loopback)" if here else title, REMEDY, seen, severity, key="open")
    elif door.counted:
        title = "The web UI's counters are shown to everybody"
        yield Finding("web", title, REMEDY, seen, Severity.LOW, key="stats")
    elif not door.asked:
        reason = f"{door.url} answers {door.status} with a page that is not Sidekiq's"
        yield Unknown(reason, "the UI's own root: --web URL")
    else:
        yield Evidence("without credentials", door.asked, f"GET {door.url}")
    yield from seen


def _loopback(address: str) -> bool:
    return bool(address) and ip_address(address).is_loopback
