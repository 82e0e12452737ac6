"""What Python's queue libraries call their own: packages, decorators, base classes, ways to hand a function over."""

from typing import Final

FRAMEWORKS: Final = {
    **{
        name: name
        for name in ("kiqdoctor", "celery", "dramatiq", "rq", "huey", "taskiq", "arq", "saq", "streaq", "procrastinate")
    },
    **dict.fromkeys(("django_rq", "flask_rq2", "rq_scheduler"), "rq"),
    "django_q": "django_q",
    "django_dramatiq": "dramatiq",
    "djhuey": "huey",
    "django_huey": "huey",
    "litestar_saq": "saq",
    "taskiq_redis": "taskiq",
    "django_tasks": "django_tasks",
    "taskiq_aio_pika": "taskiq",
    **dict.fromkeys(("apscheduler", "flask_apscheduler", "django_apscheduler"), "apscheduler"),
    "frappe": "rq",
    "dispatcherd": "dispatcherd",
}
"""Packages that know jobs, and the library that runs them."""
DECORATORS: Final = frozenset(
    {"job", "task", "shared_task", "actor", "db_task", "periodic_task", "db_periodic_task", "cron", "on_commit_task"}
    | {"scheduled_job", "register_job"}
)
AROUND: Final = frozenset({"celery", "dramatiq", "huey", "taskiq", "procrastinate"})
"""Libraries around which others put packages that are called after them."""
AS_SAID: Final = frozenset({"job", "cron", "scheduled_job", "register_job"})
"""Decorators that are no library's unless their name says whose they are."""
BASES: Final = frozenset({"Task", "Job", "GenericActor"})
RUNS: Final = ("run", "perform", "handle")
LIFECYCLE: Final = ("before_start", "on_success", "on_failure", "on_retry", "after_return", "__call__")
"""What Celery calls of a job's class around it."""
SCHEDULES: Final = {"enqueue": 0, "enqueue_call": 0, "enqueue_in": 1, "enqueue_at": 1, "schedule": 1, "cron": 1}
"""RQ's ways to enqueue a function, and its scheduler's, and where it stands among the arguments."""
MADE: Final = {
    **dict.fromkeys(("rq.job.Job.create", "rq.Job.create"), 0),
    **dict.fromkeys(("rq.Queue.prepare_data", "rq.queue.Queue.prepare_data"), 0),
}
"""Builders of what RQ enqueues later."""
QUEUES: Final = frozenset({"rq", "django_rq", "flask_rq2", "rq_scheduler", "frappe"})
TIMERS: Final = frozenset({"apscheduler", "flask_apscheduler", "django_apscheduler"})
TIMED: Final = {"add_job": 0, "add_schedule": 0}
"""APScheduler's ways to be handed a function."""
CALLBACKS: Final = frozenset({"on_success", "on_failure", "on_stopped"})
"""What RQ's worker runs after a job."""
HANDS: Final = {
    "django_q.tasks.async_task": "django_q",
    "django_q.tasks.schedule": "django_q",
    "django_q.async_task": "django_q",
    "django_q.schedule": "django_q",
    "django_q.tasks.async_chain": "django_q",
    "django_q.tasks.async_iter": "django_q",
    "django_q.tasks.AsyncTask": "django_q",
    "django_q.tasks.Chain().append": "django_q",
    "django_q.tasks.Iter": "django_q",
    "django_q.models.Schedule": "django_q",
    **{
        f"django_q.models.Schedule.objects.{how}{verb}": "django_q"
        for how in ("", "a")
        for verb in ("create", "get_or_create", "update_or_create")
    },
    "arq.func": "arq",
    "arq.worker.func": "arq",
    "arq.cron": "arq",
    "arq.cron.cron": "arq",
    "saq.CronJob": "saq",
    "saq.job.CronJob": "saq",
    "litestar_saq.CronJob": "saq",
    "litestar_saq.config.CronJob": "saq",
    "dramatiq.actor": "dramatiq",
    "dispatcherd.publish.submit_task": "dispatcherd",
}
"""Calls of libraries that are handed a function first, or its dotted name."""
OWN_REGISTRY: Final = frozenset({"register_task", "register_job", "register_jobs", "register_tasks"})
REGISTRY: Final = OWN_REGISTRY | {"register"}
"""What is handed a job's class or an object of it; an application's own register has no other word."""
LISTS: Final = {
    "functions": ("arq", "saq", "streaq"),
    "cron_jobs": ("arq", "saq"),
    "tasks": ("saq",),
    "scheduled_tasks": ("saq",),
}
"""Lists of functions in a worker's settings."""
OWN_BASES: Final = frozenset(f"{word}{kind}" for word in ("", "Base", "Abstract") for kind in ("Task", "Job"))
"""What an application calls its own base of jobs, whose method is left to those below."""
FUNCTION: Final = frozenset({"func", "f", "function", "coroutine"})
"""Keywords whose value is the function that is handed over."""


def library_of(name: str) -> str:
    """The library that a dotted name belongs to; "" for none."""
    root = name.partition(".")[0].removesuffix("()")
    if root == "huey" or ".djhuey" in name:
        return "huey"
    if name.startswith("django.tasks."):
        return "django_tasks"
    return FRAMEWORKS.get(root) or _named_after(root)


def _named_after(root: str) -> str:
    """The library that a package around it is called after: ``shop_procrastinate``."""
    return next((one for one in root.split("_") if one in AROUND), "") if "_" in root else ""
