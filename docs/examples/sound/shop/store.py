"""The shop's invoices, in SQLite: a connection a use, so that no two threads ever share one."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager

TABLE = "CREATE TABLE IF NOT EXISTS invoices (number INTEGER PRIMARY KEY, address TEXT, total INTEGER, sent_at TEXT)"


@contextmanager
def invoices() -> Iterator[sqlite3.Connection]:
    """A connection of the caller's own; committed at the end, rolled back where it failed."""
    with closing(sqlite3.connect(os.environ.get("SHOP_DATABASE", "shop.db"), timeout=10)) as connection, connection:
        connection.execute(TABLE)
        yield connection


def add(number: int, address: str, total: int) -> None:
    """A new invoice; one of the same number stays as it is."""
    with invoices() as connection:
        connection.execute("INSERT OR IGNORE INTO invoices VALUES (?, ?, ?, NULL)", (number, address, total))


def mark_sent(number: int) -> bool:
    """Whether it was not sent before: a job may run twice, and a customer gets one mail."""
    with invoices() as connection:
        changed = connection.execute(
            "UPDATE invoices SET sent_at = datetime() WHERE number = ? AND sent_at IS NULL", (number,)
        )
        return changed.rowcount == 1


def totals() -> list[int]:
    """What each invoice comes to."""
    with invoices() as connection:
        return [total for (total,) in connection.execute("SELECT total FROM invoices ORDER BY number")]
