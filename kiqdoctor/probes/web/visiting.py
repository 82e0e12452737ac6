"""HTTP as a visitor who reads a little of each page, in bounded time, and goes nowhere else."""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import field
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.tools import Web
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean
from kiqdoctor.version import __version__

if TYPE_CHECKING:
    import httpx

MOST_BYTES: Final = 2 * 1024 * 1024  # of one page; what is longer is read no further
CHUNK: Final = 64 * 1024
REDIRECTS: Final = 5
SILENCE: Final = 5.0  # seconds
LONGEST: Final = 15.0  # seconds for all that one probe visits
HEAD: Final = 60  # characters
REDIRECTING: Final = frozenset({301, 302, 303, 307, 308})
SENDFILE: Final = ("x-sendfile", "x-accel-redirect", "x-lighttpd-send-file")
SAME_ORIGIN: Final = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}

_SIGNED: Final = (
    ("nginx", regex(rb"<center>(?:nginx|openresty)[^<]{0,40}</center>", re.IGNORECASE)),
    ("Apache", regex(rb"<address>Apache[^<]{0,100}</address>|<p>The requested URL was not found on this server")),
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: the status, headers by their lower-cased names, and the body, as far as it was read."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    address: str = ""
    cookies: tuple[str, ...] = field(default=(), repr=False)  # Set-Cookie lines

    @property
    def location(self) -> str:
        """Where it sends on to, as an absolute URL; "" where it does not, or to what is no URL."""
        return joined(self.url, self.headers["location"]) if self.redirects else ""

    @property
    def redirects(self) -> bool:
        """Whether it sends the visitor elsewhere."""
        return self.status in REDIRECTING and "location" in self.headers

    @property
    def kind(self) -> str:
        """Its content type without parameters."""
        return clean(self.headers.get("content-type", "").partition(";")[0].strip().lower())

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8", "replace")

    @property
    def head(self) -> str:
        """How the body begins, for people."""
        return clean(" ".join(self.text[: HEAD * 4].split()), HEAD)

    @property
    def answered(self) -> str:
        """Whose words an error's page has: a proxy signs its own."""
        return next((name for name, words in _SIGNED if words.search(self.body[:CHUNK])), "the application")

    @property
    def sendfile(self) -> str:
        """The header that asks a proxy to send a file, and that no visitor should see."""
        return next((name for name in SENDFILE if name in self.headers), "")


class Visitor:
    """One visitor of one UI, with the cookies that he was given; credentials go to the UI's own origin alone."""

    def __init__(self, client: "httpx.Client", web: Web, longest: float) -> None:
        self._client, self._web, self._longest = client, web, longest
        self._ends = time.monotonic() + longest
        self.root = web.url

    def get(self, path: str = "", *, named: bool = True) -> Answer:
        """A page below the root, or of an absolute URL of the same origin; ``named``: with credentials.

        Redirects within the origin are followed; one that leads elsewhere, or to itself, is the answer.

        Raises:
            RefusalError: there was no answer in time.
        """
        url = urljoin(self.root.rstrip("/") + "/", path) if path else self.root
        for _ in range(REDIRECTS + 1):
            answer = self._ask("GET", url, named=named)
            if not answer.redirects or not same_origin(answer.location, self.root) or answer.location == url:
                return answer
            url = answer.location
        raise RefusalError(f"{self.root} redirects more than {REDIRECTS} times")

    def post(self, url: str, form: Mapping[str, str]) -> Answer:
        """One form, as a browser sends it from the UI's own page."""
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(url))
        return self._ask("POST", url, form=form, headers={**SAME_ORIGIN, "Origin": origin, "Referer": url})

    @property
    def has_cookies(self) -> bool:
        """Whether it was given any that it may send back here."""
        return any(self._client.build_request("GET", self.root).headers.get_list("cookie"))

    def _ask(
        self,
        method: str,
        url: str,
        *,
        named: bool = True,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        import httpx

        if time.monotonic() > self._ends:
            raise self._late()
        login = (self._web.user, self._web.password) if named and self._web.user else None
        try:
            with self._client.stream(method, url, auth=login, data=form, headers=headers) as response:
                address = _address(response)  # before the end of the body, with which the socket goes
                body = self._body(response)
                return Answer(
                    str(response.url),
                    response.status_code,
                    {name.lower(): value for name, value in response.headers.items()},
                    body,
                    address,
                    tuple(response.headers.get_list("set-cookie")),
                )
        except httpx.HTTPError as error:
            said = clean(" ".join(str(error).split())) or type(error).__name__
            raise RefusalError(f"{self.root}: {said}", "a web UI that answers: --web URL") from None
        except (httpx.InvalidURL, httpx.CookieConflict, ValueError):  # addresses and cookies are its own words
            raise RefusalError(f"{self.root} sends on to no URL, or gives cookies that none could send back") from None

    def _body(self, response: "httpx.Response") -> bytes:
        parts: list[bytes] = []
        size = 0
        for part in response.iter_raw():  # as it comes: nothing is unpacked, and a trickle is seen
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                break
            if time.monotonic() > self._ends:
                raise self._late()
        return b"".join(parts)[:MOST_BYTES]

    def _late(self) -> RefusalError:
        return RefusalError(f"{self.root} did not answer within {self._longest:g} s", "a web UI that answers")


@contextmanager
def visiting(web: Web, longest: float = LONGEST) -> Iterator[Visitor]:
    """A visitor, who leaves at the end. The environment's proxies are not his."""
    import httpx

    agent = {"User-Agent": f"kiqdoctor/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    with httpx.Client(headers=agent, timeout=SILENCE, follow_redirects=False, trust_env=False) as client:
        yield Visitor(client, web, longest)


def joined(base: str, address: str) -> str:
    """What an address on that page means; "" where it is none."""
    try:
        found = urljoin(base, address)
        urlsplit(found)
    except ValueError:
        return ""
    return found


def same_origin(url: str, other: str) -> bool:
    """Whether both are of one host and port; https of the same host may have another one, for UIs redirect so."""
    try:
        one, two = urlsplit(url), urlsplit(other)
    except ValueError:
        return False
    upgraded = (two.scheme, one.scheme) == ("http", "https")
    same = one.hostname == two.hostname and (upgraded or _port(url) == _port(other))
    return one.scheme in {"http", "https"} and same


def _port(url: str) -> int | None:
    parts = urlsplit(url)
    try:
        return parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return None


def _address(response: "httpx.Response") -> str:
    stream = response.extensions.get("network_stream")
    found = None
    with suppress(OSError):
        found = stream.get_extra_info("server_addr") if stream is not None else None
    return str(found[0]) if isinstance(found, tuple) and found else ""
