"""Django, configured once here with two SQLite files: commits, savepoints, connections, applications."""

import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from servers import RedisServer

import kiqdoctor
from kiqdoctor import testing
from kiqdoctor.integrations import django as integration
from kiqdoctor.runtime import transactions
from kiqdoctor.runtime.committing import enqueue_on_commit
from kiqdoctor.runtime.job import REGISTRY, Job
from kiqdoctor.runtime.middleware import Running, around
from kiqdoctor.runtime.transactions import EnqueuedInTransactionWarning
from kiqdoctor.wire.codec import ArgumentError

if not os.environ.get("CI"):
    pytest.importorskip("django", reason="Django is not installed")


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """`django.db`, with a table `orders` in each database."""
    from django import db, setup  # type: ignore[import-untyped]
    from django.conf import settings  # type: ignore[import-untyped]

    folder = tmp_path_factory.mktemp("django")
    names = ("default", "archive")
    databases = {name: {"ENGINE": "django.db.backends.sqlite3", "NAME": str(folder / name)} for name in names}
    settings.configure(DATABASES=databases, INSTALLED_APPS=[], USE_TZ=True)
    setup()
    for name in names:
        with db.connections[name].cursor() as cursor:
            cursor.execute("create table orders (jid text)")
    yield db
    db.connections.close_all()


@pytest.fixture(autouse=True)
def clean(db: Any, redis_server: RedisServer, redis: "redis_py.Redis") -> Iterator[None]:
    kiqdoctor.configure(redis=redis_server.url)
    yield
    for connection in db.connections.all():
        with connection.cursor() as cursor:
            cursor.execute("delete from orders")


@pytest.fixture
def ship() -> Iterator[Job[..., None]]:
    before = dict(REGISTRY)

    @kiqdoctor.job(name="Ship")
    def ship(*_: Any) -> None: ...

    yield ship
    REGISTRY.clear()
    REGISTRY.update(before)


def enqueued(client: Any) -> list[Any]:
    """The arguments of what lies in the queue, oldest first."""
    found: list[bytes] = client.lrange("queue:default", 0, -1)
    return [json.loads(one)["args"] for one in reversed(found)]


def test_the_job_comes_with_the_commit_under_the_jid_of_the_call(
    db: Any, ship: Job[..., None], redis: "redis_py.Redis"
) -> None:
    from django.db import transaction  # type: ignore[import-untyped]

    order = [1]
    with transaction.atomic():
        jid = enqueue_on_commit(ship, order)
        order.append(2)
        with db.connection.cursor() as cursor:
            cursor.execute("insert into orders values (%s)", [jid])
        assert redis.dbsize() == 0
    with db.connection.cursor() as cursor:
        ((stored,),) = cursor.execute("select jid from orders").fetchall()
    (payload,) = redis.lrange("queue:default", 0, -1)
    assert json.loads(payload)["jid"] == stored == jid
    assert enqueued(redis) == [[[1]]]


def test_a_rollback_drops_it(ship: Job[..., None], redis: "redis_py.Redis") -> None:
    from django.db import transaction

    with suppress(ZeroDivisionError), transaction.atomic():
        enqueue_on_commit(ship, 1)
        raise ZeroDivisionError
    assert redis.dbsize() == 0


def test_a_savepoint_rolled_back_drops_only_its_own(ship: Job[..., None], redis: "redis_py.Redis") -> None:
    from django.db import transaction

    with transaction.atomic():
        enqueue_on_commit(ship, "before")
        with suppress(ZeroDivisionError), transaction.atomic():
            enqueue_on_commit(ship, "within")
            raise ZeroDivisionError
        with transaction.atomic():
            enqueue_on_commit(ship, "released")
        enqueue_on_commit(ship, "after")
    assert enqueued(redis) == [["before"], ["released"], ["after"]]


def test_using_names_the_database_that_is_waited_for(ship: Job[..., None], redis: "redis_py.Redis") -> None:
    from django.db import transaction

    with transaction.atomic():
        with transaction.atomic(using="archive"):
            enqueue_on_commit(ship, "archive", using="archive")
            enqueue_on_commit(ship, "default")
        assert enqueued(redis) == [["archive"]]
    assert enqueued(redis) == [["archive"], ["default"]]


def test_without_a_transaction_it_goes_at_once_and_opens_no_connection(
    db: Any, ship: Job[..., None], redis: "redis_py.Redis"
) -> None:
    db.connections.close_all()
    enqueue_on_commit(ship, 1)
    assert enqueued(redis) == [[1]]
    assert db.connection.connection is None


def test_a_transaction_that_is_managed_by_hand_is_refused(ship: Job[..., None], redis: "redis_py.Redis") -> None:
    from django.db import transaction

    transaction.set_autocommit(False)
    try:
        with pytest.raises(transaction.TransactionManagementError):
            enqueue_on_commit(ship, 1)
    finally:
        transaction.set_autocommit(True)
    assert redis.dbsize() == 0


def test_arguments_are_refused_at_the_call(ship: Job[..., None]) -> None:
    from django.db import transaction

    with transaction.atomic(), pytest.raises(ArgumentError):
        enqueue_on_commit(ship, object())


def test_when_redis_is_gone_the_rows_stay_and_the_caller_hears_of_it(
    db: Any, ship: Job[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    from django.db import transaction

    def order() -> None:
        with transaction.atomic(), db.connection.cursor() as cursor:
            cursor.execute("insert into orders values (%s)", [enqueue_on_commit(ship, 1)])

    with RedisServer.start() as server:
        kiqdoctor.configure(redis=server.url)
    with pytest.raises(redis_py.ConnectionError):
        order()
    with db.connection.cursor() as cursor:
        ((jid,),) = cursor.execute("select jid from orders").fetchall()
    assert f"Ship {jid} was not enqueued" in capsys.readouterr().err


def test_a_plain_enqueue_within_atomic_warns_and_names_the_database(ship: Job[..., None]) -> None:
    from django.db import transaction

    def order() -> None:
        with transaction.atomic(using="archive"):
            ship.perform_async(1)

    with pytest.warns(EnqueuedInTransactionWarning, match="Django's transaction on database 'archive'") as caught:
        order()
    order()
    assert [one.filename for one in caught] == [__file__]


def test_outside_atomic_and_in_another_thread_nothing_warns(db: Any, ship: Job[..., None]) -> None:
    from django.db import transaction

    ship.perform_async(1)
    other = threading.Thread(target=ship.perform_async)
    with transaction.atomic():
        other.start()
        other.join()  # a warning there would be an unhandled error here


def test_autocommit_turned_off_counts_as_a_transaction() -> None:
    from django.db import connection, transaction

    connection.ensure_connection()
    transaction.set_autocommit(False)
    try:
        assert transactions.open_transaction() == "Django's transaction on database 'default'"
    finally:
        transaction.set_autocommit(True)


def test_the_transaction_around_a_django_test_does_not_count(ship: Job[..., None], redis: "redis_py.Redis") -> None:
    import unittest

    from django.db import connection, transaction
    from django.test import TestCase  # type: ignore[import-untyped]

    def runTest(self: Any) -> None:  # noqa: N802 - unittest's name
        assert connection.in_atomic_block
        ship.perform_async("plain")
        with self.captureOnCommitCallbacks(execute=True) as callbacks:
            enqueue_on_commit(ship, "deferred")
        assert len(callbacks) == 1
        with transaction.atomic(), pytest.warns(EnqueuedInTransactionWarning):
            ship.perform_async("within")

    case = type("Case", (TestCase,), {"runTest": runTest})()
    result = unittest.TestResult()
    case(result)
    assert not result.errors + result.failures
    assert enqueued(redis) == [["plain"], ["deferred"], ["within"]]


def running() -> Running:
    return Running("Ship", "ab" * 12, "default", [], {}, 0.0)


def in_a_thread(body: Any) -> Any:
    """What it answers in a thread of its own, as a processor's; Django's connections are each thread's."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(body()))
    thread.start()
    thread.join()
    return answers[0]


def test_connections_past_their_age_are_closed_around_each_job(db: Any) -> None:
    middleware = integration.database_connections()

    def body() -> list[bool]:
        connection = db.connections["default"]
        connection.ensure_connection()
        connection.force_debug_cursor = True
        connection.cursor().execute("select 1")
        seen = [connection.connection is not None, bool(connection.queries_log)]
        connection.close_at = 0.0
        around([middleware], running(), lambda: seen.append(connection.connection is None))
        seen.append(not connection.queries_log)
        around([middleware], running(), connection.ensure_connection)
        seen.append(connection.connection is None)  # CONN_MAX_AGE is 0
        return seen

    assert in_a_thread(body) == [True] * 5


def test_a_transaction_that_a_job_left_open_ends_with_it(db: Any) -> None:
    middleware = integration.database_connections()

    def body() -> list[bool]:
        from django.db import transaction

        with pytest.raises(ZeroDivisionError):
            around([middleware], running(), lambda: transaction.set_autocommit(False) or 1 / 0)
        return [db.connection.connection is None]

    assert in_a_thread(body) == [True]


def test_a_job_inside_its_callers_transaction_leaves_that_alone(
    db: Any, ship: Job[..., None], redis_server: RedisServer
) -> None:
    from django.db import transaction

    kiqdoctor.configure(redis=redis_server.url, middleware=[integration.database_connections()])
    try:
        with testing.inline(), warnings.catch_warnings():
            warnings.simplefilter("ignore", EnqueuedInTransactionWarning)
            with transaction.atomic():
                with db.connection.cursor() as cursor:
                    cursor.execute("insert into orders values ('kept')")
                ship.perform_async(1)
        with db.connection.cursor() as cursor:
            assert cursor.execute("select jid from orders").fetchall() == [("kept",)]
    finally:
        kiqdoctor.configure(redis=redis_server.url, middleware=[])


SETTINGS = """
SECRET_KEY = "none"
INSTALLED_APPS = ["kiqdoctor.integrations.django.KiqdoctorConfig", "shop", "plain"]
"""
JOBS = """
from django.apps import apps
from kiqdoctor import job

assert apps.ready or apps.models_ready

@job
def ship(order): ...
"""


def project(folder: Path) -> Path:
    for path, text in {
        "settings.py": SETTINGS,
        "shop/__init__.py": "",
        "shop/jobs.py": JOBS,
        "plain/__init__.py": "",
    }.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(text)
    return folder


@pytest.mark.parametrize(
    "start",
    [
        "from kiqdoctor.integrations.django import setup; assert setup()",
        "import django; django.setup()",
    ],
)
def test_the_jobs_of_every_application_are_found(tmp_path: Path, start: str) -> None:
    code = f"{start}\nfrom kiqdoctor.runtime.job import REGISTRY\nprint(*REGISTRY)"
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "settings", "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project(tmp_path),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout.split() == ["shop.jobs.ship"], ran.stderr


def test_without_settings_nothing_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    assert integration.setup() is False
