"""A job for which its process is killed, as parent and process and whoever recovers it name it."""

import hashlib
from typing import Final

KEPT: Final = 7 * 24 * 3600  # seconds that it is known; longer than anybody needs to look for the dead


def digest(payload: bytes) -> str:
    """A payload's name among those that lie in a private list."""
    return hashlib.sha1(payload, usedforsecurity=False).hexdigest()
