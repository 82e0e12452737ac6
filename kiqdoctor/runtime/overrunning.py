"""Jobs whose process is killed where they run for too long: who watches them, and who refuses to run them."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.runtime.middleware import Running

if TYPE_CHECKING:
    from kiqdoctor.runtime.job import Job

Watch = Callable[["Job[Any, Any]", Running], AbstractContextManager[None]]
"""Around a job's run."""

WHY: Final = "timeout_kill=True: only under `kiqdoctor work`, with reliable fetch, can its process be killed for it"


class UnsupervisedError(Exception):
    """Nobody could kill this process for a job that may have to be ended so."""


def unwatched(job: "Job[Any, Any]", running: Running) -> AbstractContextManager[None]:  # noqa: ARG001
    """Where no process is at stake, as in a testing mode."""
    return nullcontext()


def refused(job: "Job[Any, Any]", running: Running) -> AbstractContextManager[None]:  # noqa: ARG001
    """Where there is no parent.

    Raises:
        UnsupervisedError: the job would need one.
    """
    if job.options.timeout_kill:
        raise UnsupervisedError(f"{job.name} has {WHY}")
    return nullcontext()


def fit(watch: Watch, registry: "Mapping[str, Job[Any, Any]]", queues: Iterable[str]) -> None:
    """Before a worker starts.

    Raises:
        UnsupervisedError: jobs of its queues may have to be ended by killing it, and nobody could.
    """
    served = set(queues)
    names = sorted(name for name, one in registry.items() if one.options.timeout_kill and one.options.queue in served)
    if names and watch is refused:
        raise UnsupervisedError(f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} {WHY}")
