"""What a page of the UI names: its title, its files, its links, the token of its forms, what its scripts may do."""

from collections.abc import Sequence
from contextlib import suppress
from html.parser import HTMLParser
from typing import Final

from kiqdoctor.regex import regex

MOST_NAMED: Final = 200
PAGES: Final = frozenset({"busy", "queues", "retries", "scheduled", "morgue"})
TOKEN: Final = "authenticity_token"  # noqa: S105 - a field's name
_NONCE: Final = regex(r"'nonce-([^']{1,200})'")


class Page(HTMLParser):
    """One page, read once."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.title = ""
        self.files: list[tuple[str, str]] = []  # kind, address
        self.links: list[str] = []
        self.token = ""
        self.nonces: list[str] = []  # of scripts, "" of one without
        self.asks = False  # for a password
        self._in_title = False
        with suppress(AssertionError):  # so the standard library says that a page is no HTML at all
            self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Every element, as it begins."""
        found = {name: value or "" for name, value in attrs}
        self._in_title = tag == "title"
        if tag == "link" and "stylesheet" in found.get("rel", "").lower():
            self._file("css", found.get("href", ""))
        elif tag == "link" and "icon" in found.get("rel", "").lower():
            self._file("img", found.get("href", ""))
        elif tag == "script":
            self.nonces.append(found.get("nonce", ""))
            self._file("js", found.get("src", ""))
        elif tag == "img":
            self._file("img", found.get("src", ""))
        elif tag == "a" and len(self.links) < MOST_NAMED:
            self.links.append(found.get("href", ""))
        elif tag == "input" and found.get("type", "").lower() == "password":
            self.asks = True
        elif tag == "input" and found.get("name") == TOKEN and not self.token:
            self.token = found.get("value", "")

    def handle_data(self, data: str) -> None:
        """Text between elements."""
        if self._in_title and len(self.title) < MOST_NAMED:
            self.title += data

    def handle_endtag(self, tag: str) -> None:
        """Every element, as it ends."""
        if tag == "title":
            self._in_title = False

    def _file(self, kind: str, address: str) -> None:
        if address and not address.startswith("data:") and len(self.files) < MOST_NAMED:
            self.files.append((kind, address))

    @property
    def is_sidekiq(self) -> bool:
        """Its title says so, and one of its pages is linked: a login form's title may say it too."""
        ends = {link.partition("?")[0].rstrip("/").rpartition("/")[2] for link in self.links}
        return self.is_called_so and not PAGES.isdisjoint(ends)

    @property
    def is_called_so(self) -> bool:
        """Its title says Sidekiq, and it asks for no password."""
        return "sidekiq" in self.title.lower() and not self.asks


def forbidden(policies: Sequence[str], nonces: Sequence[str]) -> str:
    """Why a browser would run none of the page's scripts under these Content-Security-Policies; "" where it would."""
    for policy in policies:
        directives = [one.split() for one in policy.lower().split(";") if one.strip()]
        scripts = next((one[1:] for one in directives if one[0] == "script-src"), None)
        if scripts is None:
            scripts = next((one[1:] for one in directives if one[0] == "default-src"), None)
        if scripts is None or not nonces:
            continue
        wanted = {found.lower() for found in _NONCE.findall(policy)}
        if scripts == ["'none'"]:
            return "its policy allows no script at all"
        if wanted and not wanted & {one.lower() for one in nonces}:
            return "its policy names a nonce that no script of the page has"
        if not wanted and not {"'self'", "*", "'unsafe-inline'", "https:", "http:"} & set(scripts):
            return "its policy allows none of its own scripts"
    return ""
