"""A backend of Django's Tasks that runs them as jobs: of Django 6 itself, or of the package django-tasks before it.

``TASKS = {"default": {"BACKEND": "kiqdoctor.integrations.django.tasks.Backend"}}``. ``OPTIONS`` are those of ``@job``.
A task that failed is tried again as any job, and is READY meanwhile; with ``{"retry": False}`` never.
"""

import functools
import inspect
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from kiqdoctor.integrations.django import autodiscover
from kiqdoctor.integrations.django.records import Record
from kiqdoctor.runtime import client
from kiqdoctor.runtime.beside import beside
from kiqdoctor.runtime.context import current
from kiqdoctor.runtime.job import REGISTRY, Job, JobOptions, job
from kiqdoctor.runtime.status import Status
from kiqdoctor.wire.fields import JID, QUEUE, RETRY
from kiqdoctor.wire.status import JobState

FRAMEWORK: Final = "django.tasks" if find_spec("django.tasks") is not None else "django_tasks"
KEPT: Final = 24 * 3600  # seconds that a result is kept where OPTIONS say nothing else

_base: Any = import_module(f"{FRAMEWORK}.base")
_signals: Any = import_module(f"{FRAMEWORK}.signals")
_errors: Any = import_module(f"{FRAMEWORK}.exceptions")
_Base: Any = import_module(f"{FRAMEWORK}.backends.base").BaseTaskBackend
_Invalid: Final[type[Exception]] = getattr(_errors, "InvalidTask", None) or _errors.InvalidTaskError

READY, RUNNING, FAILED, SUCCESSFUL = (
    getattr(_base.TaskResultStatus, name) for name in ("READY", "RUNNING", "FAILED", "SUCCESSFUL")
)
STATES: Final[Mapping[str, Any]] = {"running": RUNNING, "done": SUCCESSFUL, "dead": FAILED, "gone": FAILED}


class Backend(_Base):  # type: ignore[misc]
    """Each task is a job under its path; ``kiqdoctor work`` or ``manage.py kiqdoctor_work`` runs it."""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = False

    def validate_task(self, task: Any) -> None:
        """Also makes a job of it, which a worker finds once it has imported the task's module.

        Raises:
            InvalidTask: it cannot be one.
        """
        super().validate_task(task)
        try:
            self._job(task)
        except ValueError as error:
            raise _Invalid(str(error)) from None

    def enqueue(self, task: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Push it, as ``perform_async`` and ``perform_at`` do, and with their errors."""
        self.validate_task(task)
        made = self._job(task)
        listed, keywords = _base.normalize_json(list(args)), _base.normalize_json(dict(kwargs))
        placed, named = made.lay(listed, keywords)
        jid, now = client.new_jid(), datetime.now(UTC).timestamp()
        record = Record(listed, keywords, now, job_class=made.name)
        record.save(jid)
        at = task.run_after.timestamp() if task.run_after is not None else None
        options = _to(made.options, task.queue_name)
        [found] = client.enqueue(made.name, (placed,), options, at=at, jids=[jid], keywords=named)
        if found != jid:
            Record.forget(jid)
        if not found:
            raise _Invalid(f"{made.name}: a client middleware dropped it")
        result = self._result(task, found, record, READY)
        _signals.task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> Any:
        """What is known of it.

        Raises:
            TaskResultDoesNotExist: nothing is (any more), or no imported module has this task.
        """
        state = Status(str(result_id)).read()
        told = Record.read(str(result_id))
        task = self._known(told.job_class) if told is not None else None
        if state is None or told is None or task is None:
            raise _errors.TaskResultDoesNotExist(result_id)
        return self._result(task, str(result_id), told, STATES.get(state.state, READY), state)

    # -- the job ---------------------------------------------------------------------------------------------------

    def _job(self, task: Any) -> Job[..., Any]:
        known = REGISTRY.get(task.module_path)
        if known is not None and (of := getattr(known.function, "task", None)) is not None:
            if of.func is task.func:
                return known
            del REGISTRY[task.module_path]  # its module was loaded anew
        run = self._runner(task)
        words = {"retry": True, "result_ttl": KEPT, **self.options}
        words["retries_exhausted"] = lambda fields, error: self._exhausted(task, fields, error)
        made: Job[..., Any] = job(name=task.module_path, queue=task.queue_name, **words)(run)
        return made

    @staticmethod
    def _known(job_class: str) -> Any:
        """By the class that a worker has under this name: nothing is imported because Redis says so."""
        if job_class not in REGISTRY:
            autodiscover()
        found = REGISTRY.get(job_class)
        return getattr(found.function, "task", None) if found is not None else None

    def _runner(self, task: Any) -> Callable[..., Any]:
        """The task's function, within what Django promises of a run."""
        function = task.func

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            first = self._begin(task)
            try:
                value = _base.normalize_json(function(*first, *args, **kwargs))
            except BaseException as error:
                self._fail(task, error)
                raise
            self._succeed(task, value)
            return value

        @functools.wraps(function)
        async def arun(*args: Any, **kwargs: Any) -> Any:
            first = await beside(self._begin, task)
            try:
                value = _base.normalize_json(await function(*first, *args, **kwargs))
            except BaseException as error:
                await beside(self._fail, task, error)
                raise
            await beside(self._succeed, task, value)
            return value

        chosen: Any = arun if inspect.iscoroutinefunction(function) else run
        told = inspect.signature(function)
        chosen.__signature__ = told.replace(parameters=list(told.parameters.values())[task.takes_context :])
        chosen.task = task
        return chosen  # type: ignore[no-any-return]

    # -- a run -----------------------------------------------------------------------------------------------------

    def _begin(self, task: Any) -> list[Any]:
        """What comes before its arguments."""
        running = current()
        record = Record.of(running)
        record.save(running.jid)
        result = self._result(task, running.jid, record, RUNNING)
        _signals.task_started.send(type(self), task_result=result)
        return [_base.TaskContext(task_result=result)] if task.takes_context else []

    def _succeed(self, task: Any, value: Any) -> None:
        running = current()
        record = (Record.read(running.jid) or Record()).ended()
        record.save(running.jid)
        result = self._result(task, running.jid, record, SUCCESSFUL)
        object.__setattr__(result, "_return_value", value)
        _signals.task_finished.send(type(self), task_result=result)

    def _fail(self, task: Any, error: BaseException) -> None:
        """Whether it is tried again is not known yet, except where it never is."""
        running = current()
        record = (Record.read(running.jid) or Record()).failed(_path(type(error)), _trace(error))
        record.save(running.jid)
        if running.fields.get(RETRY) is False:
            self._finish(task, running.jid, record)

    def _exhausted(self, task: Any, fields: Mapping[str, Any], _: BaseException) -> None:
        jid = str(fields.get(JID))
        self._finish(task, jid, Record.read(jid) or Record())

    def _finish(self, task: Any, jid: str, record: Record) -> None:
        ended = record.ended()
        ended.save(jid)
        _signals.task_finished.send(type(self), task_result=self._result(task, jid, ended, FAILED))

    def _result(self, task: Any, jid: str, record: Record, status: Any, state: JobState | None = None) -> Any:
        result = _base.TaskResult(
            task=task,
            id=jid,
            status=status,
            enqueued_at=_time(record.enqueued_at),
            started_at=_time(record.started_at),
            finished_at=_time(record.finished_at if status in {FAILED, SUCCESSFUL} else None),
            last_attempted_at=_time(record.last_attempted_at),
            args=list(record.args),
            kwargs=dict(record.kwargs),
            backend=self.alias,
            errors=[_base.TaskError(exception_class_path=name, traceback=trace) for name, trace in record.errors],
            worker_ids=list(record.worker_ids),
        )
        if state is not None and status is SUCCESSFUL:
            object.__setattr__(result, "_return_value", state.result)
        return result


def _to(options: JobOptions, queue: str) -> JobOptions:
    """The same on another queue, as ``task.using(queue_name=...)`` says."""
    return options if options.queue == queue else replace(options, queue=queue, wire={**options.wire, QUEUE: queue})


def _trace(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def _path(kind: type[BaseException]) -> str:
    """By which Django imports it."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _time(at: float | None) -> datetime | None:
    return datetime.fromtimestamp(at, UTC) if at is not None else None
