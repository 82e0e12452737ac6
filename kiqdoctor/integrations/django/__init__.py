"""Django: jobs that wait for its commits, its connections between jobs, its applications' jobs.

``kiqdoctor.configure(middleware=[database_connections()])`` in the worker. ``jobs.py`` of every installed application
is imported by ``setup()``, or by ``"kiqdoctor.integrations.django.KiqdoctorConfig"`` in ``INSTALLED_APPS``.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Final

from kiqdoctor.runtime.middleware import Proceed, Running, ServerMiddleware

JOBS: Final = "jobs"  # the module of an application that defines its jobs
TASKS: Final = "tasks"


def database_connections() -> ServerMiddleware:
    """Around each job what Django does around each request: forget the query log, close what is broken or too old.

    A job that runs inside its caller's transaction, as in the inline testing mode, leaves the connections alone:
    closing one would roll back what the caller wrote.
    """
    db = import_module("django.db")

    def middleware(_: Running, proceed: Proceed) -> Any:
        if any(connection.in_atomic_block for connection in db.connections.all(initialized_only=True)):
            return proceed()
        _freshen(db)
        try:
            return proceed()
        finally:
            _freshen(db)

    return middleware


def _freshen(db: Any) -> None:
    db.reset_queries()
    db.close_old_connections()


def setup() -> bool:
    """Set Django up if ``DJANGO_SETTINGS_MODULE`` is set, and import every application's jobs; whether it did.

    Raises:
        Exception: whatever the settings, the applications or their jobs raise when they are imported.
    """
    if not os.environ.get("DJANGO_SETTINGS_MODULE"):
        return False
    import_module("django").setup()
    autodiscover()
    return True


def autodiscover() -> None:
    """Import ``jobs.py`` of every installed application that has one; an error inside one is raised.

    Also ``tasks.py``, where Django's Tasks have our backend: only a task whose module was imported can be run.
    """
    backends = getattr(import_module("django.conf").settings, "TASKS", {}).values()
    ours = any(str(one.get("BACKEND", "")).startswith(f"{__name__}.") for one in backends)
    import_module("django.utils.module_loading").autodiscover_modules(JOBS, *([TASKS] if ours else []))


def on_commit(call: Callable[[], None], using: str | None = None) -> bool:
    """Have it called at the commit; False, and nothing done, where no transaction is open.

    Raises:
        django.db.utils.ConnectionDoesNotExist: no database is called that.
        django.db.transaction.TransactionManagementError: transactions are managed by hand (autocommit is off), so that
            Django cannot tell when they end.
    """
    db = import_module("django.db")
    connection = db.connections[using or db.DEFAULT_DB_ALIAS]
    if not connection.in_atomic_block and not _by_hand(connection):
        return False
    import_module("django.db.transaction").on_commit(call, using=using)
    return True


def detector() -> Callable[[], str | None]:
    """What sees the calling thread's open transactions."""
    settings = import_module("django.conf").settings
    connections = import_module("django.db").connections

    def detect() -> str | None:
        if not settings.configured:
            return None
        for connection in connections.all(initialized_only=True):
            if _open(connection):
                return f"Django's transaction on database {connection.alias!r}"
        return None

    return detect


def _open(connection: Any) -> bool:
    """Whether a transaction of the program's own is open; the one that TestCase puts around a test is not."""
    if not connection.in_atomic_block:
        return _by_hand(connection)
    blocks = connection.atomic_blocks
    return not blocks or not all(block._from_testcase for block in blocks)  # noqa: SLF001 - as `durable` asks


def _by_hand(connection: Any) -> bool:
    return connection.connection is not None and not connection.autocommit


def _ready() -> None:
    autodiscover()
    import_module("kiqdoctor.integrations.django_checks").register()


@cache
def _app_config() -> type:
    apps = import_module("django.apps")

    members = {"name": __name__, "label": "kiqdoctor", "ready": lambda _: _ready()}
    return type("KiqdoctorConfig", (apps.AppConfig,), members)


def __getattr__(name: str) -> Any:
    """``KiqdoctorConfig``, made when Django asks for it: this module is imported without Django too."""
    if name == "KiqdoctorConfig":
        return _app_config()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
