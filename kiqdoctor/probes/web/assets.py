"""The files that the UI's page needs: each is fetched as a browser would."""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from kiqdoctor.doctor.facts.web import WebAsset, WebAssets
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Web
from kiqdoctor.probes.web.visiting import Answer, Visitor, joined, same_origin, visiting
from kiqdoctor.text import clean

MOST: Final = 12  # files of one page
ORDER: Final = ("css", "js", "img")
OK: Final = 200
CREDENTIALS: Final = "--web-user NAME:PASSWORD"


@probe(
    Read(f"GET the UI's root and up to {MOST} of its files", "", "2 MiB each at most"),
    lane=Lane.WEB,
    deadline_s=20.0,
)
def web_assets(web: Web) -> WebAssets:
    """The root page, and what it names."""
    from kiqdoctor.probes.web.page import Page, forbidden

    with visiting(web) as visitor:
        root = shown(visitor)
        page = Page(root.text)
        if not page.is_sidekiq:
            raise RefusalError(f"{web.url} shows no Sidekiq", f"the UI's own root, and {CREDENTIALS} where it asks")
        named = {url: kind for kind, address in page.files if (url := joined(root.url, address))}
        mine = sorted((url for url in named if same_origin(url, web.url)), key=lambda url: ORDER.index(named[url]))
        return WebAssets(
            url=web.url,
            files=tuple(_fetched(visitor, [(url, named[url]) for url in mine[:MOST]])),
            left_out=max(0, len(mine) - MOST),
            elsewhere=tuple(clean(url, 100) for url in named if not same_origin(url, web.url)),
            policy=forbidden([root.headers.get("content-security-policy", "")], page.nonces),
        )


def shown(visitor: Visitor, path: str = "") -> Answer:
    """A page of the UI with whatever credentials were given.

    Raises:
        RefusalError: it asks for others, or is none.
    """
    answer = visitor.get(path)
    if answer.status in {401, 403} or answer.redirects:
        raise RefusalError(f"{visitor.root} asks for credentials (status {answer.status})", CREDENTIALS)
    if answer.status != OK:
        raise RefusalError(f"{visitor.root} answers with status {answer.status}", "the UI's own root: --web URL")
    return answer


def _fetched(visitor: Visitor, named: list[tuple[str, str]]) -> Iterator[WebAsset]:
    below = urlsplit(visitor.root).path.rstrip("/") + "/"
    for url, kind in named:
        answer = visitor.get(url)
        yield WebAsset(
            path=clean(urlsplit(url).path, 120),
            kind=kind,
            status=answer.status,
            content_type=answer.kind,
            size=len(answer.body),
            head=answer.head if answer.status != OK or answer.body.lstrip()[:1] == b"<" else "",
            answered=answer.answered,
            sendfile=answer.sendfile,
            inside=urlsplit(url).path.startswith(below),
        )
