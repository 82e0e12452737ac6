"""A web UI over HTTP, as facts. Bodies and headers are a stranger's: they are kept cut and cleaned."""

import msgspec


class WebDoor(msgspec.Struct, frozen=True):
    """What somebody without credentials is shown at the UI's root. ``address``: the server's, as it was connected.

    ``shown``: it is Sidekiq's UI; ``counted``: its counters were readable too; ``asked``: how it asks who comes.
    """

    url: str
    address: str = ""
    status: int = 0
    title: str = ""
    shown: bool = False
    counted: bool = False
    asked: str = ""


class WebAsset(msgspec.Struct, frozen=True):
    """One file that the UI's root page names. ``kind``: css, js, img. ``head``: how what came begins.

    ``answered``: who wrote an error's page, where its words tell (nginx, Apache, the application). ``sendfile``: the
    header by which the application asked the proxy to send a file, which came through.
    """

    path: str
    kind: str
    status: int
    content_type: str = ""
    size: int = 0
    head: str = ""
    answered: str = "the application"
    sendfile: str = ""
    inside: bool = True  # its path begins as the UI's own


class WebAssets(msgspec.Struct, frozen=True):
    """The UI's root page, with credentials where some were given, and its files.

    ``elsewhere``: files of other origins, which are not fetched; ``policy``: why a browser would not run its scripts.
    """

    url: str
    files: tuple[WebAsset, ...] = ()
    left_out: int = 0
    elsewhere: tuple[str, ...] = ()
    policy: str = ""


class WebPost(msgspec.Struct, frozen=True):
    """One POST that changes nothing, sent as the UI's own form would send it.

    ``token``: the form had one. ``cookie``: "" none came with the form, "sent", or "withheld": it is for https only.
    """

    url: str
    status: int
    token: bool = False
    cookie: str = ""
    answered: str = "the application"
    head: str = ""


class Bracketed(msgspec.Struct, frozen=True):
    """A counter as the UI shows it, between two looks at it in Redis."""

    name: str
    before: int
    shown: int
    after: int

    @property
    def fits(self) -> bool:
        """Whether one Redis can have told all three: it only rises."""
        return self.before <= self.shown <= self.after


class WebCounts(msgspec.Struct, frozen=True):
    """The UI's own counters, several times; and which server it says that it reads."""

    url: str
    rounds: tuple[tuple[Bracketed, ...], ...] = ()
    redis_version: str = ""


class Mount(msgspec.Struct, frozen=True, omit_defaults=True):
    """A place where files put the UI into an application. ``guards``: what stands around it that may ask who comes.

    ``session``: a session is there for its forms, as far as that file tells. ``rack``: a config.ru, and no routes.
    """

    path: str
    line: int
    guards: tuple[str, ...] = ()
    session: bool = True
    rack: bool = False


class WebLine(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """A line about the UI's way to the browser.

    ``what`` is auth, session, no-session, sendfile, by-extension, or no-site: Sec-Fetch-Site is not passed on.
    """

    path: str
    line: int
    what: str


class WebFiles(msgspec.Struct, frozen=True, omit_defaults=True):
    """What routes, config.ru and nginx's files say about the UI."""

    mounts: tuple[Mount, ...] = ()
    lines: tuple[WebLine, ...] = ()

    def said(self, what: str) -> tuple[WebLine, ...]:
        """The lines of one kind."""
        return tuple(one for one in self.lines if one.what == what)
