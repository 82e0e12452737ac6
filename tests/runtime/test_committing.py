"""Enqueueing around database transactions, as far as no framework is needed for it."""

import inspect
import json
import subprocess
import sys
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import redis as redis_py
from servers import RedisServer

import kiqdoctor
from kiqdoctor.runtime import committing, transactions
from kiqdoctor.runtime.committing import enqueue_on_commit
from kiqdoctor.runtime.job import REGISTRY, Job
from kiqdoctor.runtime.transactions import EnqueuedInTransactionWarning
from kiqdoctor.wire.codec import ArgumentError


@pytest.fixture(autouse=True)
def configured(redis_server: RedisServer, redis: "redis_py.Redis") -> None:
    kiqdoctor.configure(redis=redis_server.url)


@pytest.fixture
def mail() -> Iterator[Job[..., None]]:
    before = dict(REGISTRY)

    @kiqdoctor.job(name="Mail")
    def mail(*_: Any) -> None: ...

    yield mail
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """What a database of the test's own has open; empty for nothing."""
    pytest.importorskip("sqlalchemy.orm")  # the client asks only where a framework has been imported
    names: list[str] = []
    transactions._warned.clear()
    transactions.detect("test", lambda: names[-1] if names else None)
    yield names
    transactions._detectors.pop("test")


def waiting(client: Any) -> list[dict[str, Any]]:
    found: list[bytes] = client.lrange("queue:default", 0, -1)
    return [json.loads(one) for one in reversed(found)]


def test_without_a_transaction_it_is_an_ordinary_enqueue(mail: Job[..., None], redis: "redis_py.Redis") -> None:
    jid = enqueue_on_commit(mail, 1, {"to": "you"})
    assert [(job["class"], job["args"], job["jid"]) for job in waiting(redis)] == [("Mail", [1, {"to": "you"}], jid)]


@pytest.mark.parametrize("words", [{"delay": 60}, {"delay": timedelta(minutes=1)}])
def test_a_delay_counts_from_the_call(mail: Job[..., None], redis: Any, words: dict[str, Any]) -> None:
    before = datetime.now(UTC).timestamp()
    jid = enqueue_on_commit(mail, **words)
    ((payload, due),) = redis.zrange("schedule", 0, -1, withscores=True)
    assert json.loads(payload)["jid"] == jid
    assert before + 60 <= due <= datetime.now(UTC).timestamp() + 60


@pytest.mark.parametrize("at", [4_000_000_000, datetime.fromtimestamp(4_000_000_000, UTC)])
def test_a_time_may_be_given(mail: Job[..., None], redis: "redis_py.Redis", at: Any) -> None:
    enqueue_on_commit(mail, at=at)
    assert redis.zcount("schedule", 4_000_000_000, 4_000_000_000) == 1


def test_what_cannot_be_meant_is_refused_at_the_call(mail: Job[..., None], redis: "redis_py.Redis") -> None:
    with pytest.raises(ArgumentError, match=r"args\[1\]"):
        enqueue_on_commit(mail, 1, object())
    with pytest.raises(ValueError, match="exclude"):
        enqueue_on_commit(mail, delay=1, at=1)
    with pytest.raises(ValueError, match="time zone"):
        enqueue_on_commit(mail, at=datetime(2030, 1, 1))  # noqa: DTZ001 - the fault itself
    with pytest.raises(ValueError, match="give one of them"):
        enqueue_on_commit(mail, session=object(), using="default")
    assert redis.dbsize() == 0


def test_a_plain_enqueue_warns_once_for_each_place_and_names_it(mail: Job[..., None], opened: list[str]) -> None:
    opened.append("a transaction on database 'shop'")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            mail.perform_async(1)
            line = inspect.currentframe().f_lineno - 1  # type: ignore[union-attr]
        mail.perform_in(60, 1)
    assert [(one.category, one.filename, one.lineno) for one in caught] == [
        (EnqueuedInTransactionWarning, __file__, line),
        (EnqueuedInTransactionWarning, __file__, line + 2),
    ]
    text = str(caught[0].message)
    assert text.startswith(f"Mail was enqueued inside a transaction on database 'shop', at {__file__}:{line}")
    assert "enqueue_on_commit" in text


@pytest.mark.parametrize("way", ["perform_async", "perform_in", "perform_at", "perform_bulk"])
def test_every_way_of_enqueueing_warns(mail: Job[..., None], opened: list[str], way: str) -> None:
    opened.append("something")
    calls: dict[str, Any] = {
        "perform_async": partial(mail.perform_async),
        "perform_in": partial(mail.perform_in, 60),
        "perform_at": partial(mail.perform_at, 4_000_000_000),
        "perform_bulk": partial(mail.perform_bulk, [[], []]),
    }
    with pytest.warns(EnqueuedInTransactionWarning) as caught:
        calls[way]()
    assert len(caught) == 1


def test_no_transaction_no_warning(mail: Job[..., None], opened: list[str]) -> None:
    assert transactions.open_transaction() is None
    mail.perform_async(1)


def test_where_the_warning_is_an_error_nothing_is_pushed_each_time(
    mail: Job[..., None], opened: list[str], redis: "redis_py.Redis"
) -> None:
    opened.append("something")
    for _ in range(2):
        with pytest.raises(EnqueuedInTransactionWarning):
            mail.perform_async(1)
    assert redis.dbsize() == 0


def test_who_forgets_the_session_is_warned_too(mail: Job[..., None], opened: list[str]) -> None:
    opened.append("something")
    with pytest.warns(EnqueuedInTransactionWarning):
        enqueue_on_commit(mail)


def test_a_push_after_the_commit_is_meant_even_inside_another_transaction(
    mail: Job[..., None], opened: list[str], redis: "redis_py.Redis"
) -> None:
    opened.append("something")
    committing.Deferred(mail, [1], "ab" * 12).after_commit()
    assert [job["jid"] for job in waiting(redis)] == ["ab" * 12]


def test_after_the_commit_a_lost_redis_is_told_with_class_and_jid(
    mail: Job[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with RedisServer.start() as server:
        gone = server.url
    kiqdoctor.configure(redis=gone)
    with pytest.raises(redis_py.ConnectionError) as raised:
        committing.Deferred(mail, [1], "ab" * 12).after_commit()
    assert raised.value.__notes__ == [f"Mail {'ab' * 12} was not enqueued, although its transaction was committed"]
    assert f"WARN: Mail {'ab' * 12} was not enqueued" in capsys.readouterr().err


def test_no_framework_is_imported_for_those_who_use_none() -> None:
    code = """
import sys
from kiqdoctor import job
from kiqdoctor.runtime import transactions
transactions.warn_if_open("Mail")
print(*[name for name in ("django", "sqlalchemy", "redis", "kiqdoctor.integrations") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
