"""The shop's invoices, in SQLite."""

import os
import sqlite3

# FAULT (PKG001): one connection for all threads. With check_same_thread on, every job fails; with it off, the
# transactions of all threads run into each other.
CONNECTION = sqlite3.connect(os.environ.get("SHOP_DATABASE", "shop.db"), check_same_thread=False)
CONNECTION.execute(
    "CREATE TABLE IF NOT EXISTS invoices (number INTEGER PRIMARY KEY, address TEXT, total INTEGER, sent_at TEXT)"
)


def add(number: int, address: str, total: int) -> None:
    """A new invoice; one of the same number stays as it is."""
    # FAULT (COD005): a job of any thread writes through it...
    CONNECTION.execute("INSERT OR IGNORE INTO invoices VALUES (?, ?, ?, NULL)", (number, address, total))
    CONNECTION.commit()


def mark_sent(number: int) -> bool:
    """Whether it was not sent before."""
    # FAULT (COD005): ...and may commit another's half.
    changed = CONNECTION.execute(
        "UPDATE invoices SET sent_at = datetime() WHERE number = ? AND sent_at IS NULL", (number,)
    )
    CONNECTION.commit()
    return changed.rowcount == 1


def totals() -> list[int]:
    """What each invoice comes to."""
    return [total for (total,) in CONNECTION.execute("SELECT total FROM invoices ORDER BY number")]
