"""The shop's web side: `POST /?number=7&address=a@example.org&total=1200` takes an order. Any WSGI server runs it."""

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from shop import jobs, store


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Note the order, and leave the mail to a worker."""
    words = parse_qs(environ.get("QUERY_STRING", ""))
    number = int(words["number"][0])
    store.add(number, words["address"][0], int(words["total"][0]))
    jid = jobs.send_invoice.perform_async(number)
    start_response("202 Accepted", [("Content-Type", "text/plain")])
    return [f"{jid}\n".encode()]
