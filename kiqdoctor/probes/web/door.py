"""What the UI shows to somebody without credentials."""

from kiqdoctor.doctor.facts.web import WebDoor
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.tools import Web
from kiqdoctor.probes.web.visiting import Answer, Visitor, visiting
from kiqdoctor.text import clean

ASKING = frozenset({401, 403, 407})


@probe(
    Read("GET the UI's root and /stats, without credentials", "", "two pages, redirects, 2 MiB each at most"),
    lane=Lane.WEB,
    deadline_s=20.0,
)
def web_door(web: Web) -> WebDoor:
    """A visit without credentials and without cookies."""
    from kiqdoctor.probes.web.page import Page

    with visiting(web) as visitor:
        root = visitor.get(named=False)
        page = Page(root.text)
        counted = _counted(visitor)
        told = page.is_sidekiq or (counted and page.is_called_so)
        shown = root.status == 200 and told  # noqa: PLR2004 - OK
        return WebDoor(
            url=web.url,
            address=root.address,
            status=root.status,
            title=clean(page.title.strip(), 80),
            shown=shown,
            counted=counted,
            asked=_asked(root, web),
        )


def _counted(visitor: Visitor) -> bool:
    from kiqdoctor.probes.web.counts import read_stats

    return read_stats(visitor.get("stats", named=False)) is not None


def _asked(root: Answer, web: Web) -> str:
    """How it asks who comes: by status, or by sending him to another page; "" where it does not."""
    if root.status in ASKING:
        return f"status {root.status}"
    if root.redirects:
        return f"sends to {clean(root.location, 100)}"
    return f"sends to {clean(root.url, 100)}" if root.url.rstrip("/") != web.url.rstrip("/") else ""
