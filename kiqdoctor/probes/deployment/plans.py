"""How many clients the Redis of a provider's plan takes; only what the provider's own page says, with its date."""

from collections.abc import Mapping
from typing import Final

from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """One provider's plans."""

    clients: Mapping[str, int]
    default: str
    as_of: str


PROVIDERS: Final[Mapping[str, Table]] = {
    "heroku-redis": Table(
        {
            "mini": 20,
            "premium-0": 40,
            "premium-1": 80,
            "premium-2": 200,
            "premium-3": 400,
            "premium-4": 700,
            "premium-5": 1_000,
            "premium-7": 10_000,
            "premium-9": 25_000,
            "premium-10": 40_000,
            "premium-12": 65_000,
            "premium-14": 65_000,
        },
        "mini",
        "2024-10-11",
    )
}
"""devcenter.heroku.com/articles/heroku-redis-technical-characterization. Others have no page that was verified."""


POSTGRES: Final[Mapping[str, Table]] = {
    "heroku-postgresql": Table(
        {
            "mini": 20,
            "basic": 20,
            "essential-0": 20,
            "essential-1": 20,
            "essential-2": 40,
            "standard-0": 120,
            "standard-2": 400,
            "premium-0": 120,
            "premium-2": 400,
        },
        "essential-0",
        "2024-07-23",
    )
}
"""devcenter.heroku.com/articles/heroku-postgres-plans: connections that a database takes."""


def connections(plan: str) -> tuple[int, str] | None:
    """As `clients`, of databases."""
    return _of(POSTGRES, plan)


def clients(plan: str) -> tuple[int, str] | None:
    """The number for a plan as it is ordered (``heroku-redis:premium-0``), and the table's date; None: not known."""
    return _of(PROVIDERS, plan)


def _of(tables: Mapping[str, Table], plan: str) -> tuple[int, str] | None:
    provider, _, name = plan.partition(":")
    table = tables.get(provider)
    number = table.clients.get(name or table.default) if table is not None else None
    return (number, table.as_of) if table is not None and number is not None else None
