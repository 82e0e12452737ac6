"""One POST that changes nothing, where it is allowed: it asks a process that does not exist for nothing."""

from typing import Final

from kiqdoctor.doctor.facts.web import WebPost
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Web
from kiqdoctor.probes.web.assets import shown
from kiqdoctor.probes.web.visiting import visiting

NOBODY: Final = "kiqdoctor:0:000000000000"
"""No process is called so; without an identity the form would mean all of them."""


@probe(
    Read("GET /busy of the UI, POST /busy for a process that does not exist", "--web-post", "two pages"),
    lane=Lane.WEB,
    deadline_s=20.0,
)
def web_post(web: Web) -> WebPost:
    """The page's own form, for nobody and without a button: the UI changes nothing and sends back to the page."""
    if not web.post:
        raise RefusalError("whether the UI's buttons work takes one POST, which was not allowed", "--web-post")
    from kiqdoctor.probes.web.page import TOKEN, Page

    with visiting(web) as visitor:
        page = shown(visitor, "busy")
        token = Page(page.text).token
        cookie = "sent" if visitor.has_cookies else "withheld" if page.cookies else ""
        answer = visitor.post(page.url, {"identity": NOBODY, **({TOKEN: token} if token else {})})
    return WebPost(page.url, answer.status, bool(token), cookie, answer.answered, answer.head)
