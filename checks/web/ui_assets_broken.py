"""The web UI's styles or scripts do not arrive.

## Why it hurts
The page is a heap of unstyled text, polling and charts stand still, and buttons that need a script do nothing.

In the log: 404s of `/stylesheets/...` or `/javascripts/...` in the proxy's; nothing in Sidekiq's.

## How it is found
Formula: fails if a css, js or image that the root page names does not answer 200 or 304, or is empty, or has another
content type, or a css or js is an HTML page; or if the page's Content-Security-Policy forbids its own scripts; or
an nginx file serves css and js by a location of their extension, or Rails is told to send X-Sendfile (low where no file
of nginx's is there)

At most a dozen files are fetched. What broke them is told by what came: an X-Sendfile or X-Accel-Redirect header with
nothing behind it (the application speaks another proxy's dialect); a path that does not begin as the UI's (the proxy
strips the prefix, and the application does not know it); the proxy's own error page for css and js alone (a location by
extension wins over the prefix); else the application itself has no such file.

## When it is wrong
Files of other origins (`assets_path`, a CDN) are shown and not fetched.

## Confirm by hand
`curl -i` on each path that the evidence names; the browser's console for what a policy forbids.

## How to fix
Hand the whole prefix to the application (`location ^~ /sidekiq`), with `proxy_set_header X-Forwarded-Prefix` or
SCRIPT_NAME where it is mounted below one; set `config.action_dispatch.x_sendfile_header` to what the proxy speaks
(`X-Accel-Redirect` for nginx, `X-Sendfile` for Apache), or to nil. Debian's packages leave application.js and
dashboard.js out: take them from the gem.

Risk: `^~` takes the prefix from every location by regular expression.

Undo: the old location.

## Unknown when
The UI asks for credentials that were not given (--web-user), or its root does not answer; its files ask for
credentials.

## Source
sidekiq#260, #543, #1404, #4713; nginx's documentation of `location`; Rack::Sendfile; Debian's ruby-sidekiq 6.4.1 and
8.1.7.
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
)
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.web import WebAsset, WebAssets, WebFiles, WebLine
from kiqdoctor.doctor.halves import either

UNCHANGED = frozenset({304})
WELL = frozenset({200}) | UNCHANGED
ASKING = frozenset({401, 403, 407})
REDIRECTING = frozenset({301, 302, 303, 307, 308})
TYPES = {"css": ("css",), "js": ("javascript", "ecmascript"), "img": ("image/",)}
SHOWN = 12
WHOLE_PREFIX = "Hand the whole prefix to the application: `location ^~ PREFIX`, before any location by extension."
CAUSES = {
    "sendfile": (
        "the application hands files to a proxy of another dialect",
        "Set x_sendfile_header to what this proxy speaks (nginx X-Accel-Redirect, Apache X-Sendfile), or to nil.",
    ),
    "prefix": (
        "the page names them outside the UI's own path",
        "Let the application know its prefix (SCRIPT_NAME, X-Forwarded-Prefix, or the path that it is mounted at).",
    ),
    "extension": ("the proxy answers for css and js itself", WHOLE_PREFIX),
    "proxy": ("the proxy answers for them itself", WHOLE_PREFIX),
    "missing": (
        "the application has no such files",
        "Install them with the gem that they belong to; Debian's packages leave application.js and dashboard.js out.",
    ),
    "wrong": ("something else comes in their place", WHOLE_PREFIX),
}


@check("WEB002", severity=Severity.MEDIUM)
def ui_assets_broken(assets: WebAssets | Missing, files: WebFiles | Missing) -> Iterator[Verdict]:
    yield from either(assets, files, _fetched, _in_files)


def _in_files(files: WebFiles) -> Iterator[Verdict]:
    """What a proxy's files keep from the UI: css and js by extension, and a header that nginx does not know."""
    nginx = files.said("by-extension")
    for one in nginx[:1]:
        title = (
            f"{one.path} serves css and js by their extension from its own folder: the UI's never reach the application"
        )
        fix = "Hand the UI's whole prefix to the application: `location ^~ /sidekiq { proxy_pass ...; }`."
        yield _line(one, title, fix, Severity.MEDIUM)
    for one in files.said("sendfile")[:1]:
        title = f"{one.path} sends X-Sendfile, which nginx does not know: files come empty behind it"
        yield _line(one, title, 'Write "X-Accel-Redirect" for nginx.', Severity.MEDIUM if nginx else Severity.LOW)
    yield Evidence("mounts of the UI", str(len(files.mounts)), files.mounts[0].path if files.mounts else "")


def _line(one: WebLine, title: str, fix: str, severity: Severity) -> Finding:
    evidence = (Evidence("line", one.what, f"{one.path}:{one.line}"),)
    return Finding(
        f"file:{one.path}", title, fix, evidence, severity, location=Location(one.path, one.line), key=one.what
    )


def _fetched(assets: WebAssets) -> Iterator[Verdict]:
    broken = [one for one in assets.files if _flaw(one) and not _asked(one)]
    asked = [one for one in assets.files if _asked(one)]
    if broken:
        yield _finding(assets, broken)
    elif asked:
        reason = f"{counted(len(asked), 'file')} of the page ask for credentials, first {asked[0].path}"
        yield Unknown(reason, "--web-user NAME:PASSWORD")
    elif not assets.files and not assets.elsewhere:
        yield Unknown("the page names no file", "the UI's own root: --web URL")
    if assets.policy:
        evidence = (Evidence("policy", assets.policy, "Content-Security-Policy"),)
        remedy = "Let the application's own policy through, and no page of it be cached: its nonce is of one request."
        yield Finding("web", f"Browsers run no script of the UI: {assets.policy}", remedy, evidence, key="policy")
    yield from _seen(assets)


def _flaw(one: WebAsset) -> str:
    """What is wrong with it; "" where it is as it should be."""
    if one.status not in WELL:
        return f"status {one.status}"
    if one.size == 0 and one.status not in UNCHANGED:
        return "empty"
    if one.head[:1] == "<" and one.kind != "img":
        return "an HTML page"
    if one.status not in UNCHANGED and not any(word in one.content_type for word in TYPES[one.kind]):
        return f"type {one.content_type or 'none'}"
    return ""


def _asked(one: WebAsset) -> bool:
    return one.status in ASKING or one.status in REDIRECTING


def _cause(files: tuple[WebAsset, ...], broken: list[WebAsset]) -> str:
    first = broken[0]
    if any(one.sendfile for one in broken):
        return "sendfile"
    if not any(one.inside for one in broken):
        return "prefix"
    if first.answered != "the application":
        well = [one for one in files if one.kind == "img" and not _flaw(one)]
        return "extension" if {one.kind for one in broken} <= {"css", "js"} and well else "proxy"
    return "missing" if all(one.status == 404 for one in broken) else "wrong"  # noqa: PLR2004 - not found


def _finding(assets: WebAssets, broken: list[WebAsset]) -> Finding:
    cause = _cause(assets.files, broken)
    why, remedy = CAUSES[cause]
    evidence = []
    for one in broken[:SHOWN]:
        header = f", {one.sendfile}" if one.sendfile else ""
        page = f": {one.head}" if one.head else ""
        evidence.append(Evidence(one.path, f"{_flaw(one)}{header}, by {one.answered}{page}", f"GET {one.path}"))
    title = f"{len(broken)} of {len(assets.files)} files of the web UI do not arrive: {why}"
    return Finding("web", title, remedy, tuple(evidence), key=cause)


def _seen(assets: WebAssets) -> Iterator[Evidence]:
    well = [one for one in assets.files if not _flaw(one)]
    yield Evidence("files that arrive", f"{len(well)} of {len(assets.files)}", assets.url)
    for url in assets.elsewhere[:SHOWN]:
        yield Evidence("of another origin", url, "not fetched")
