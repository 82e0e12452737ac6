"""kiqdoctor: the doctor for Sidekiq-style job queues, and a runtime that gives it nothing to find."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kiqdoctor.runtime.config import configure
    from kiqdoctor.runtime.embedding import embed
    from kiqdoctor.runtime.job import job

__version__ = "0.1.0"
__all__ = ["__version__", "configure", "embed", "job"]

_HOMES = {"configure": "config", "embed": "embedding", "job": "job"}


def __getattr__(name: str) -> Any:
    """Public names are looked up at their first use: the package itself imports nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"kiqdoctor.runtime.{_HOMES[name]}"), name)
    return value
