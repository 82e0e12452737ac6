"""kiqdoctor: the doctor for Sidekiq-style job queues, and a runtime that gives it nothing to find."""

from kiqdoctor.version import __version__

TYPE_CHECKING = False  # what typing says too, which takes as long to import as all else that --version needs
if TYPE_CHECKING:
    from typing import Any

    from kiqdoctor.runtime.batches import Batch
    from kiqdoctor.runtime.chains import chain
    from kiqdoctor.runtime.client import pipelined
    from kiqdoctor.runtime.committing import enqueue_on_commit
    from kiqdoctor.runtime.config import configure
    from kiqdoctor.runtime.context import current, propagate
    from kiqdoctor.runtime.embedding import embed
    from kiqdoctor.runtime.forking import ForkedError
    from kiqdoctor.runtime.job import job
    from kiqdoctor.runtime.middleware import DeadlineExceededError, Running
    from kiqdoctor.runtime.periodic import periodic
    from kiqdoctor.runtime.sending import MaybeEnqueued
    from kiqdoctor.runtime.status import Status
    from kiqdoctor.runtime.transactions import EnqueuedInTransactionWarning

__all__ = [
    "Batch",
    "DeadlineExceededError",
    "EnqueuedInTransactionWarning",
    "ForkedError",
    "MaybeEnqueued",
    "Running",
    "Status",
    "__version__",
    "chain",
    "configure",
    "current",
    "embed",
    "enqueue_on_commit",
    "job",
    "periodic",
    "pipelined",
    "propagate",
]

_HOMES = {
    "Batch": "batches",
    "DeadlineExceededError": "middleware",
    "EnqueuedInTransactionWarning": "transactions",
    "ForkedError": "forking",
    "MaybeEnqueued": "sending",
    "Running": "middleware",
    "Status": "status",
    "chain": "chains",
    "configure": "config",
    "current": "context",
    "embed": "embedding",
    "enqueue_on_commit": "committing",
    "job": "job",
    "periodic": "periodic",
    "pipelined": "client",
    "propagate": "context",
}


def __getattr__(name: str) -> "Any":
    """Public names are looked up at their first use: the package itself imports nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(f"kiqdoctor.runtime.{_HOMES[name]}"), name)
    return value
