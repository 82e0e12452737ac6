"""Which web UI is to be visited, and as whom."""

from urllib.parse import unquote, urlsplit, urlunsplit

from kiqdoctor.doctor.snapshot import Absent
from kiqdoctor.doctor.tools import Web
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError


def web(asked: Asked) -> Web | Absent:
    """What was asked for. A user and a password may stand in the URL too, as browsers take them.

    Raises:
        AskedError: no address of a web page, or words that belong to none.
    """
    if asked.web is None:
        if asked.web_user or asked.web_post:
            raise AskedError("--web-user and --web-post need --web URL")
        return Absent("no web UI was named (--web URL)")
    try:
        parts = urlsplit(asked.web)
        port = parts.port
    except ValueError:
        raise AskedError("--web: its host or port cannot be read, as in https://host:443/sidekiq") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise AskedError("--web must be an address that starts with http:// or https://")
    user, colon, password = (asked.web_user or "").partition(":")
    if asked.web_user and not (user and colon):
        raise AskedError("--web-user must be NAME:PASSWORD")
    if not user and parts.username:
        user, password = unquote(parts.username), unquote(parts.password or "")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return Web(urlunsplit((parts.scheme, place, parts.path or "/", "", "")), user, password, asked.web_post)
