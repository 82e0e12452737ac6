"""Pushes: strict arguments, many in a round trip, and what is known when a reply was lost."""

import enum
import threading
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import redis as redis_py

import kiqdoctor
from kiqdoctor import MaybeEnqueued
from kiqdoctor.runtime.job import Job
from kiqdoctor.wire.codec import ArgumentError


class Colour(enum.StrEnum):
    RED = "red"


@pytest.fixture
def note(lab: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Note")
    def note(*args: Any) -> None:
        lab.note(args)

    return note


# -- arguments -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "named"),
    [
        ((1, (2,)), r"args\[1\]: tuple"),
        ((1, {"when": [datetime.now(UTC)]}), r"args\[1\]\['when'\]\[0\]: datetime"),
        (({1: "a"},), r"args\[0\]: the key 1 is of type int"),
        ((float("nan"),), r"args\[0\]: nan"),
        ((float("-inf"),), r"args\[0\]: -inf"),
        ((2**64,), r"args\[0\]: 18446744073709551616 does not fit 64 bits"),
        ((b"raw",), r"args\[0\]: bytes"),
        ((Decimal(1),), r"args\[0\]: Decimal"),
        ((Colour.RED,), r"args\[0\]: Colour"),
        (("half \ud800",), r"args\[0\]: the text holds a lone surrogate"),
        ((object(),), r"args\[0\]: object"),
    ],
)
def test_an_argument_that_would_not_come_back_is_named(
    lab: Any, note: Job[..., None], args: tuple[Any, ...], named: str
) -> None:
    with pytest.raises(ArgumentError, match=f"Note: {named}"):
        note.perform_async(*args)
    assert not lab.redis.keys("*")


def test_of_many_the_one_is_named_and_none_is_pushed(lab: Any, note: Job[..., None]) -> None:
    with pytest.raises(ArgumentError, match=r"Note, job 1 of 3: args\[0\]: set"):
        note.perform_bulk([[1], [{2}], [3]])
    assert not lab.redis.keys("*")


@pytest.mark.parametrize("args", ["ab", b"ab", {"a": 1}, {1}, 5, None])
def test_each_of_many_must_be_a_list(lab: Any, note: Job[..., None], args: Any) -> None:
    with pytest.raises(ArgumentError, match="must be a list"):
        note.perform_bulk([args])
    assert not lab.redis.keys("*")


def test_what_has_a_json_form_comes_back_as_it_went(lab: Any, note: Job[..., None]) -> None:
    args: list[Any] = [None, True, 0, -(2**63), 2**64 - 1, 1.5, 1e300, 5e-324, "ü\u0000\u2028", [], {"": {"a": [[]]}}]
    note.perform_async(*args)
    lab.work()

    assert lab.seen == [tuple(args)]


@pytest.mark.parametrize("when", [float("nan"), float("inf"), float("-inf")])
def test_a_time_that_is_none_is_refused(lab: Any, note: Job[..., None], when: float) -> None:
    for push in (note.perform_in, note.perform_at):
        with pytest.raises(ValueError, match="cannot be scheduled"):
            push(when)
    with pytest.raises(ValueError, match="cannot be scheduled"):
        note.perform_bulk([[1]], at=when)
    with pytest.raises(ValueError, match="time zone"):
        note.perform_bulk([[1]], at=datetime.now())  # noqa: DTZ005
    assert not lab.redis.keys("*")


# -- round trips ---------------------------------------------------------------------------------------------------


def trips(lab: Any, proxy: Any, push: Any) -> int:
    """How many round trips it takes on a connection that is there."""
    lab.configure(redis=proxy.url)
    kiqdoctor.job(name="Warm")(lambda: None).perform_async()
    before: int = proxy.trips
    push()
    taken: int = proxy.trips - before
    return taken


@pytest.mark.parametrize("options", [{}, {"unique_for": 60}, {"status": True}, {"unique_for": 60, "status": True}])
@pytest.mark.parametrize("later", [False, True])
def test_many_take_one_round_trip_for_each_thousand(lab: Any, proxy: Any, options: dict[str, Any], later: bool) -> None:
    many = kiqdoctor.job(name="Many", **options)(lambda n: None)
    at = datetime.now(UTC) + timedelta(hours=1) if later else None
    jids: list[str] = []

    taken = trips(lab, proxy, lambda: jids.extend(many.perform_bulk([[n] for n in range(2500)], at=at)))

    assert taken == 3
    assert len(set(jids)) == 2500
    assert (lab.redis.zcard("schedule") if later else lab.redis.llen("queue:default") - 1) == 2500


def test_one_takes_one(lab: Any, proxy: Any, note: Job[..., None]) -> None:
    assert trips(lab, proxy, lambda: note.perform_async(1)) == 1
    assert trips(lab, proxy, lambda: note.perform_in(60, 1)) == 1


def test_a_pipeline_takes_one_for_jobs_of_any_kind(lab: Any, proxy: Any, note: Job[..., None]) -> None:
    other = kiqdoctor.job(name="Other", queue="low", unique_for=60, status=True)(lambda n: None)

    def push() -> None:
        with kiqdoctor.pipelined():
            for n in range(100):
                note.perform_async(n)
                other.perform_async(n)
                note.perform_in(60, n)
            with kiqdoctor.pipelined():
                note.perform_async("inner")
            assert not lab.redis.exists("queue:low")

    assert trips(lab, proxy, push) == 1
    assert (lab.redis.llen("queue:default"), lab.redis.llen("queue:low"), lab.redis.zcard("schedule")) == (
        102,
        100,
        100,
    )


def test_a_pipeline_that_raises_sends_nothing_and_is_over(lab: Any, note: Job[..., None]) -> None:
    with pytest.raises(ZeroDivisionError), kiqdoctor.pipelined():
        note.perform_async(1 // (0 * len(note.perform_async(1))))
    assert not lab.redis.keys("*")
    note.perform_async(2)
    assert lab.redis.llen("queue:default") == 1


def test_the_order_is_kept(lab: Any, note: Job[..., None]) -> None:
    note.perform_bulk([[n] for n in range(5)])
    lab.work()

    assert lab.seen == [(n,) for n in range(5)]


def test_threads_push_beside_each_other(lab: Any, note: Job[..., None]) -> None:
    before = lab.redis.info("clients")["connected_clients"]
    threads = [threading.Thread(target=lambda: [note.perform_async(n) for n in range(50)]) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    jobs = lab.jobs("queue:default")
    assert len({job["jid"] for job in jobs}) == 800
    assert lab.redis.info("clients")["connected_clients"] - before <= 10


def test_what_one_round_trip_cannot_hold_is_divided(
    lab: Any, proxy: Any, note: Job[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kiqdoctor.runtime.sending, "LARGEST", 100_000)
    jids = note.perform_bulk([["x" * 30_000] for _ in range(8)])

    assert [job["jid"] for job in lab.jobs("queue:default")] == jids[::-1]


# -- a lost reply --------------------------------------------------------------------------------------------------


def test_a_lost_reply_says_which_jid_may_be_there(lab: Any, proxy: Any, note: Job[..., None]) -> None:
    lab.configure(redis=proxy.url)
    note.perform_async("warm")
    proxy.swallow = 1
    with pytest.raises(MaybeEnqueued, match=r"lost.*jid [0-9a-f]{24} may be enqueued") as caught:
        note.perform_async("maybe")

    assert caught.value.jid == lab.jobs("queue:default")[0]["jid"]
    assert caught.value.enqueued == ()
    assert isinstance(caught.value, ConnectionError)
    note.perform_async("after")
    assert lab.redis.llen("queue:default") == 3


def test_resent_it_has_the_same_jid(lab: Any, proxy: Any, note: Job[..., None]) -> None:
    lab.configure(redis=proxy.url, resend=True)
    note.perform_async("warm")
    proxy.swallow = 1
    jid = note.perform_async("twice")

    assert [job["jid"] for job in lab.jobs("queue:default")[:2]] == [jid, jid]


def test_resent_a_unique_one_is_there_once(lab: Any, proxy: Any) -> None:
    once = kiqdoctor.job(name="Once", unique_for=60)(lambda n: None)
    lab.configure(redis=proxy.url, resend=True)
    once.perform_async(0)
    proxy.swallow = 1
    jid = once.perform_async(1)

    assert lab.jobs("queue:default")[0]["jid"] == jid
    assert lab.redis.llen("queue:default") == 2


def test_resent_and_lost_again_it_is_in_doubt(lab: Any, proxy: Any, note: Job[..., None]) -> None:
    lab.configure(redis=proxy.url, resend=True)
    note.perform_async("warm")
    proxy.swallow = 5
    with pytest.raises(MaybeEnqueued, match="twice"):
        note.perform_async("doubt")
    proxy.swallow = 0


def test_of_many_those_that_are_certain_are_told(lab: Any, proxy: Any, note: Job[..., None]) -> None:
    lab.configure(redis=proxy.url)
    note.perform_async("warm")
    sent = []
    original = kiqdoctor.runtime.sending.Sender.send

    def send(self: Any, pushes: Any) -> Any:
        sent.append(len(pushes))
        if len(sent) == 2:
            proxy.swallow = 1
        return original(self, pushes)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kiqdoctor.runtime.sending.Sender, "send", send)
        with pytest.raises(MaybeEnqueued, match="and 997 more") as caught:
            note.perform_bulk([[n] for n in range(2500)])

    assert (len(caught.value.enqueued), len(caught.value.jids)) == (1000, 1000)
    there = {job["jid"] for job in lab.jobs("queue:default")}
    assert {*caught.value.enqueued, *caught.value.jids} <= there
    assert len(there) == 2001


def test_where_nobody_listens_nothing_was_pushed(lab: Any, note: Job[..., None]) -> None:
    lab.configure(redis="redis://127.0.0.1:1/0")
    with pytest.raises(redis_py.ConnectionError):
        note.perform_async(1)


def test_a_connection_that_the_server_closed_meanwhile_costs_nothing(lab: Any, note: Job[..., None]) -> None:
    note.perform_async(1)
    for connection in lab.redis.client_list():
        if connection["cmd"] == "lpush":
            lab.redis.client_kill_filter(_id=connection["id"])
    note.perform_async(2)

    assert lab.redis.llen("queue:default") == 2


def test_an_error_of_the_server_counts_what_went_before(lab: Any, note: Job[..., None]) -> None:
    mixed = kiqdoctor.job(name="Mixed", queue="odd")(lambda n: None)
    lab.redis.set("queue:odd", "no list")

    def push() -> None:
        with kiqdoctor.pipelined():
            note.perform_bulk([[n] for n in range(1000)])
            mixed.perform_async(1)

    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE") as caught:
        push()

    assert caught.value.__notes__ == ["1000 of 1001 jobs were enqueued before that"]


@pytest.mark.parametrize("options", [{}, {"unique_for": 60}, {"status": True}])
def test_a_set_of_queues_of_another_type_keeps_no_push_from_its_queue(lab: Any, options: dict[str, Any]) -> None:
    one = kiqdoctor.job(name="One", **options)(lambda n: None)
    lab.redis.set("queues", "no set")

    jid = one.perform_async(1)

    assert [job["jid"] for job in lab.jobs("queue:default")] == [jid]


def test_a_scheduled_job_has_no_enqueued_at_until_it_is_due(lab: Any, note: Job[..., None]) -> None:
    note.perform_in(60, 1)
    [later] = lab.jobs("schedule")
    assert "enqueued_at" not in later
    before = time.time()
    lab.poll(ahead=100)

    [job] = lab.jobs("queue:default")
    assert before - 1 < job["enqueued_at"] <= time.time() + 1
    assert "at" not in job
