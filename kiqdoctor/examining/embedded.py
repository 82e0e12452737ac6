"""The embedded Redis as something to examine or to work on."""

from contextlib import ExitStack
from dataclasses import replace

from kiqdoctor.embedded import EmbeddedError, Server, start
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError


def started(stack: ExitStack) -> Server:
    """One that ends with the stack.

    Raises:
        AskedError: there is none on this machine, or it does not start.
    """
    try:
        return stack.enter_context(start())
    except EmbeddedError as error:
        raise AskedError(str(error)) from None


def addressed(asked: Asked, stack: ExitStack) -> tuple[Asked, tuple[str, ...]]:
    """What was asked for with the address of one in its place where it was to be embedded, and what to say of it."""
    if not asked.embedded:
        return asked, ()
    server = started(stack)
    return replace(asked, redis=server.url, embedded=False), (server.line,)
