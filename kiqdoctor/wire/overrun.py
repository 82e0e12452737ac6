"""A job for which its process is killed, as parent and process and whoever recovers it name it."""

from typing import Final

KEPT: Final = 7 * 24 * 3600  # seconds that it is known; longer than anybody needs to look for the dead


def digest(payload: bytes) -> str:
    """A payload's name among those that lie in a private list."""
    import hashlib  # it brings OpenSSL, 3 MB: the parent of the processes reads this file, and names no payload

    return hashlib.sha1(payload, usedforsecurity=False).hexdigest()
