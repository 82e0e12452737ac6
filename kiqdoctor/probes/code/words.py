"""Which texts of the source are kept: words that rules ask for, and nothing else, for a literal may be a secret."""

from typing import Final

WORDS: Final = frozenset({"spawn", "forkserver", "fork", "checkout"})
MEMORY: Final = ":memory:"
"""An in-memory SQLite database, however it is spelt."""


def spoken(text: str) -> str:
    """The word that a text is; "" for any other text."""
    if text in {"sqlite://", "sqlite+pysqlite://"} or MEMORY in text:
        return MEMORY
    return text if text in WORDS else ""
