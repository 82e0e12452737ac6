"""SQLAlchemy on SQLite files: commits, savepoints, scoped and asynchronous sessions, sessions between jobs."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from servers import RedisServer

import kiqdoctor
from kiqdoctor import testing
from kiqdoctor.integrations import sqlalchemy as integration
from kiqdoctor.runtime import transactions
from kiqdoctor.runtime.committing import enqueue_on_commit
from kiqdoctor.runtime.job import REGISTRY, Job
from kiqdoctor.runtime.middleware import Running, around
from kiqdoctor.runtime.transactions import EnqueuedInTransactionWarning
from kiqdoctor.wire.codec import ArgumentError

if not os.environ.get("CI"):
    pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
    pytest.importorskip("aiosqlite", reason="aiosqlite is not installed")

from sqlalchemy import Engine, create_engine, event, insert, select, text
from sqlalchemy.ext.asyncio import async_scoped_session, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker


class Base(DeclarativeBase):
    """The test's tables."""


class Order(Base):
    __tablename__ = "orders"
    id: Mapped[int] = mapped_column(primary_key=True)
    jid: Mapped[str] = mapped_column(default="")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = create_engine(f"sqlite:///{tmp_path / 'shop'}")
    Base.metadata.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def session(engine: Engine) -> Iterator[Session]:
    with Session(engine) as made:
        yield made


@pytest.fixture(autouse=True)
def configured(redis_server: RedisServer, redis: "redis_py.Redis") -> None:
    kiqdoctor.configure(redis=redis_server.url)


@pytest.fixture(autouse=True)
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
    session: Session, ship: Job[..., None], redis: "redis_py.Redis"
) -> None:
    order = Order()
    session.add(order)
    session.flush()
    order.jid = enqueue_on_commit(ship, order.id, session=session)
    assert redis.dbsize() == 0
    session.commit()
    (payload,) = redis.lrange("queue:default", 0, -1)
    assert json.loads(payload)["jid"] == order.jid
    assert enqueued(redis) == [[order.id]]


def test_when_the_job_comes_its_rows_are_there_and_the_session_is_free(
    engine: Engine, ship: Job[..., None], redis_server: RedisServer
) -> None:
    seen: list[Any] = []

    def look(fields: dict[str, Any], proceed: Any) -> Any:
        with Session(engine) as other:
            seen.append((other.scalar(select(Order.jid)), own.in_transaction(), engine.pool.status()))
        return proceed()

    kiqdoctor.configure(redis=redis_server.url, client_middleware=[look])
    try:
        with Session(engine) as own:
            own.add(Order(jid="there"))
            enqueue_on_commit(ship, session=own)
            own.commit()
            own.add(Order())
            own.rollback()
    finally:
        kiqdoctor.configure(redis=redis_server.url, client_middleware=[])
    assert [(jid, busy) for jid, busy, _ in seen] == [("there", False)]
    assert "checked out connections: 1" in seen[0][2].lower()  # the other session's


@pytest.mark.parametrize("end", ["rollback", "close"])
def test_what_was_not_committed_is_dropped(
    session: Session, ship: Job[..., None], redis: "redis_py.Redis", end: str
) -> None:
    session.add(Order())
    enqueue_on_commit(ship, 1, session=session)
    getattr(session, end)()
    session.add(Order())
    session.commit()
    assert redis.dbsize() == 0


def test_a_failed_commit_drops_it(session: Session, ship: Job[..., None], redis: "redis_py.Redis") -> None:
    session.add(Order(id=1))
    session.commit()
    session.add(Order(id=1))
    enqueue_on_commit(ship, 1, session=session)
    with pytest.raises(Exception, match="UNIQUE"):
        session.commit()
    session.rollback()
    session.commit()
    assert redis.dbsize() == 0


def test_a_savepoint_rolled_back_drops_only_its_own(
    session: Session, ship: Job[..., None], redis: "redis_py.Redis"
) -> None:
    with session.begin():
        enqueue_on_commit(ship, "before", session=session)
        with suppress(ZeroDivisionError), session.begin_nested():
            with session.begin_nested():
                enqueue_on_commit(ship, "released within", session=session)
            raise ZeroDivisionError
        with session.begin_nested():
            with session.begin_nested():
                enqueue_on_commit(ship, "released", session=session)
            enqueue_on_commit(ship, "twice", session=session)
        enqueue_on_commit(ship, "after", session=session)
        assert redis.dbsize() == 0
    assert enqueued(redis) == [["before"], ["released"], ["twice"], ["after"]]


def test_from_within_a_flush_it_belongs_to_what_is_around_the_flush(
    session: Session, ship: Job[..., None], redis: "redis_py.Redis"
) -> None:
    @event.listens_for(session, "after_flush")
    def stored(one: Session, _: Any) -> None:
        enqueue_on_commit(ship, [order.jid for order in one.new if isinstance(order, Order)], session=one)

    session.add(Order(jid="kept"))
    session.flush()
    with session.begin_nested() as savepoint:
        session.add(Order(jid="dropped"))
        session.flush()
        savepoint.rollback()
    session.commit()
    assert enqueued(redis) == [[["kept"]]]


def test_one_session_commits_many_times(session: Session, ship: Job[..., None], redis: "redis_py.Redis") -> None:
    for number in range(3):
        session.add(Order())
        enqueue_on_commit(ship, number, session=session)
        session.commit()
    assert enqueued(redis) == [[0], [1], [2]]


def test_without_a_transaction_it_goes_at_once(session: Session, ship: Job[..., None], redis: "redis_py.Redis") -> None:
    enqueue_on_commit(ship, 1, session=session)
    assert enqueued(redis) == [[1]]


def test_a_scoped_session_stands_for_the_threads_own(
    engine: Engine, ship: Job[..., None], redis: "redis_py.Redis"
) -> None:
    scoped = scoped_session(sessionmaker(engine))
    scoped.add(Order())
    enqueue_on_commit(ship, 1, session=scoped)
    assert redis.dbsize() == 0
    scoped.commit()
    scoped.remove()
    assert enqueued(redis) == [[1]]


def test_asynchronous_sessions_and_their_tasks(engine: Engine, ship: Job[..., None], redis: "redis_py.Redis") -> None:
    async def use(session: Any, seen: list[str | None]) -> None:
        beside = asyncio.create_task(look(seen))
        session.add(Order())
        await session.flush()
        enqueue_on_commit(ship, type(session).__name__, session=session)
        assert "shop" in (transactions.open_transaction() or "")
        await beside
        await session.commit()
        ship.perform_async("after")
        await session.close()

    async def look(seen: list[str | None]) -> None:
        seen.append(transactions.open_transaction())

    async def both() -> list[str | None]:
        made = create_async_engine(engine.url.set(drivername="sqlite+aiosqlite"))
        maker = async_sessionmaker(made)
        seen: list[str | None] = []
        try:
            await use(maker(), seen)
            await use(async_scoped_session(maker, scopefunc=asyncio.current_task), seen)
        finally:
            await made.dispose()
        return seen

    assert asyncio.run(both()) == [None, None]
    assert enqueued(redis) == [["AsyncSession"], ["after"], ["async_scoped_session"], ["after"]]


def test_what_is_no_session_is_refused(ship: Job[..., None], engine: Engine) -> None:
    with pytest.raises(TypeError, match="not a Engine"):
        enqueue_on_commit(ship, session=engine)


def test_arguments_are_refused_at_the_call(session: Session, ship: Job[..., None]) -> None:
    with pytest.raises(ArgumentError):
        enqueue_on_commit(ship, object(), session=session)


def test_when_redis_is_gone_the_rows_stay_every_job_was_tried_and_the_caller_hears_of_it(
    session: Session, ship: Job[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with RedisServer.start() as server:
        kiqdoctor.configure(redis=server.url)
    session.add(Order(jid="kept"))
    jids = [enqueue_on_commit(ship, number, session=session) for number in range(2)]
    with pytest.raises(redis_py.ConnectionError):
        session.commit()
    assert session.scalars(select(Order.jid)).all() == ["kept"]
    told = capsys.readouterr().err
    assert all(f"Ship {jid} was not enqueued" in told for jid in jids)


def test_a_plain_enqueue_warns_and_names_the_database(session: Session, ship: Job[..., None]) -> None:
    def order() -> None:
        with session.begin():
            session.add(Order())
            ship.perform_async(1)

    with pytest.warns(EnqueuedInTransactionWarning, match="SQLAlchemy's transaction on database '.*shop'") as caught:
        order()
    order()
    assert [one.filename for one in caught] == [__file__]


@pytest.mark.parametrize(
    "begin",
    [
        lambda session: session.begin(),
        lambda session: session.begin_nested(),
        lambda session: session.add(Order()),
        lambda session: (session.add(Order()), session.flush()),
        lambda session: session.execute(insert(Order).values(jid="x")),
        lambda session: session.execute(text("insert into orders (jid) values ('x')")),
    ],
)
def test_a_transaction_counts_once_it_was_asked_for_or_wrote(session: Session, begin: Any) -> None:
    begin(session)
    assert (transactions.open_transaction() or "").startswith("SQLAlchemy's transaction on database")
    session.rollback()
    assert transactions.open_transaction() is None


def test_reading_after_the_commit_is_not_taken_for_a_transaction(session: Session, ship: Job[..., None]) -> None:
    order = Order()
    session.add(order)
    session.commit()
    ship.perform_async(order.id)  # which read it again, in a transaction that SQLAlchemy began for that
    session.execute(text(" select 1"))
    assert session.in_transaction()
    ship.perform_async(1)


def test_a_hook_after_the_commit_is_outside(session: Session, ship: Job[..., None], redis: "redis_py.Redis") -> None:
    @event.listens_for(session, "after_commit")
    def committed(_: Session) -> None:
        ship.perform_async("hook")

    with session.begin():
        session.add(Order())
    assert enqueued(redis) == [["hook"]]


def test_another_threads_transaction_is_not_ours(session: Session) -> None:
    seen: list[str | None] = []
    with session.begin():
        thread = threading.Thread(target=lambda: seen.append(transactions.open_transaction()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_even_the_first_enqueue_of_a_process_is_seen_where_its_job_was_declared_after_sqlalchemy(
    tmp_path: Path,
) -> None:
    code = """
from kiqdoctor import job, testing
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

@job
def ship(): ...

with testing.fake(), Session(create_engine("sqlite://")).begin():
    ship.perform_async()
"""
    (tmp_path / "shop.py").write_text(code)
    ran = subprocess.run([sys.executable, "shop.py"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "shop.py:10: EnqueuedInTransactionWarning: shop.ship was enqueued inside SQLAlchemy's" in ran.stderr


def running() -> Running:
    return Running("Ship", "ab" * 12, "default", [], {}, 0.0)


def test_each_job_has_a_session_of_its_own(engine: Engine) -> None:
    scoped = scoped_session(sessionmaker(engine))
    middleware = integration.session_removed(scoped)

    def write() -> Session:
        scoped.add(Order(jid="kept"))
        scoped.commit()
        return scoped()

    first = around([middleware], running(), write)
    assert not scoped.registry.has()
    second = around([middleware], running(), write)
    assert first is not second


def test_a_failed_jobs_session_is_rolled_back(engine: Engine, redis: "redis_py.Redis", ship: Job[..., None]) -> None:
    scoped = scoped_session(sessionmaker(engine))

    def write() -> None:
        scoped.add(Order())
        scoped.flush()
        enqueue_on_commit(ship, session=scoped)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        around([integration.session_removed(scoped)], running(), write)
    assert not scoped.registry.has()
    assert scoped.scalars(select(Order)).all() == []
    scoped.remove()
    assert redis.dbsize() == 0


def test_an_inline_job_leaves_its_callers_session(engine: Engine) -> None:
    scoped = scoped_session(sessionmaker(engine))
    middleware = integration.session_removed(scoped)
    with testing.inline():
        own = scoped()
        around([middleware], running(), lambda: None)
        assert scoped() is own
        scoped.remove()
        around([middleware], running(), scoped)
        assert not scoped.registry.has()
