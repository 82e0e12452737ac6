"""The web UI's buttons do nothing but say Forbidden.

## Why it hurts
Retry, kill, delete, quiet: in an incident none of them works, and the page only says `Forbidden`.

In the log: `attack prevented by Sidekiq::Web` (or `Sidekiq::Web::CsrfProtection`).

## How it is found
Formula: fails if the form of /busy, sent as a browser would from the same origin, answers 403; or
files mount the UI of a Sidekiq from 6.2 to 8.0 where no session is: in an API-only Rails, or in a config.ru; or nginx
empties Sec-Fetch-Site before a Sidekiq from 8.1 on

One POST is sent, and only with --web-post: the form for a process that does not exist, without a button, which changes
nothing. Up to 8.0 it carries the form's token and the session's cookie, from 8.1 on a browser's `Sec-Fetch-Site`; the
doctor sends both. To see /busy makes Sidekiq itself forget processes whose record ran out, as it does for any visitor.

## When it is wrong
A UI that is read-only on purpose answers so too: suppress it there.

## Confirm by hand
Press a button of /busy, and look at the answer in the browser's network tab.

## How to fix
Up to 8.0 mount the UI inside the routes of the application, or give it a session middleware, and let the proxy pass
cookies both ways; a cookie that is for https only takes https. From 8.1 on let the proxy pass `Sec-Fetch-Site`.

Risk: none in passing a header on.

Undo: the old configuration.

## Unknown when
--web-post was not given; the page asks for credentials that were not given; the POST is answered neither by 403 nor by
the redirect that belongs to it.

## Source
lib/sidekiq/web/csrf_protection.rb up to 8.0, lib/sidekiq/web.rb `safe_request?` from 8.1 on.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import (
    Evidence,
    Finding,
    Location,
    Missing,
    Severity,
    Unknown,
    Verdict,
    check,
    covers,
)
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.web import WebFiles, WebPost
from kiqdoctor.doctor.halves import either

FORBIDDEN = frozenset({403})
WELL = frozenset({200, 302, 303})


@check("WEB003", severity=Severity.MEDIUM)
def ui_actions_forbidden(
    post: WebPost | Missing, files: WebFiles | Missing, packages: Packages | Missing
) -> Iterator[Verdict]:
    yield from either(post, files, _posted, lambda there: _in_files(there, packages))


def _in_files(files: WebFiles, packages: Packages | Missing) -> Iterator[Verdict]:
    """From 6.2 to 8.0 the forms need a session that the application gives; before that the UI made its own."""
    locked = packages.version_of("ruby", "sidekiq") if isinstance(packages, Packages) else ""
    if covers(">=8.1", locked):
        yield from (_dropped(path, line) for path, line in ((one.path, one.line) for one in files.said("no-site")))
    if not covers(">=6.2,<8.1", locked):
        yield Evidence("sessions", f"not needed, or Sidekiq's version is not known: {locked or '?'}", "the lock file")
        return
    bare = files.said("no-session")
    for one in files.mounts:
        without = (one.rack and not one.session) or (not one.rack and bare and not files.said("session"))
        if not without:
            yield Evidence("a session", "there", f"{one.path}:{one.line}")
            continue
        yield Finding(
            f"file:{one.path}",
            f"{one.path} mounts Sidekiq {locked}'s web UI without a session: it refuses its own forms",
            "Put `use Rack::Session::Cookie, secret: ...` before it, or the session middleware of Rails.",
            (Evidence("mounted", "without a session", f"{one.path}:{one.line}"),),
            location=Location(one.path, one.line),
            key="session",
        )


def _dropped(path: str, line: int) -> Finding:
    return Finding(
        f"file:{path}",
        f"{path} takes Sec-Fetch-Site from what the browser sent: Sidekiq's web UI refuses its own forms",
        "Let the proxy pass Sec-Fetch-Site as the browser sent it: take the line out.",
        (Evidence("line", "proxy_set_header Sec-Fetch-Site", f"{path}:{line}"),),
        location=Location(path, line),
        key="no-site",
    )


def _posted(post: WebPost) -> Iterator[Verdict]:
    seen = (
        Evidence("POST", f"status {post.status}, by {post.answered}: {post.head}", post.url),
        Evidence("the form's token", "there" if post.token else "none, as from 8.1 on", "GET /busy"),
        Evidence("session cookie", post.cookie or "none came with the form", "Set-Cookie"),
    )
    if post.status in FORBIDDEN:
        why, remedy = _cause(post)
        yield Finding("web", f"The web UI refuses its own forms: {why}", remedy, seen, key="forbidden")
    elif post.status not in WELL:
        yield Unknown(f"the form of {post.url} is answered with status {post.status}", "the application's log")
    yield from seen


def _cause(post: WebPost) -> tuple[str, str]:
    if post.answered != "the application":
        return f"{post.answered} answers 403 itself", "Let the proxy pass POST to the application."
    if not post.token:
        remedy = "Let the proxy pass Sec-Fetch-Site as the browser sent it."
        return "it does not see that they come from its own pages", remedy
    if post.cookie == "withheld":
        remedy = "Serve it by https, or let the application know that it is (X-Forwarded-Proto)."
        return "its session cookie is for https only, and the page is not", remedy
    if not post.cookie:
        return "its session cookie does not arrive", "Let the proxy pass Set-Cookie and Cookie, with the cookie's path."
    return "the session does not hold the form's token", "Give all processes that serve the UI the same session secret."
