import time
from datetime import timedelta
from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.runtime.endings import End
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.retrying import Destination, after_failure, after_first_failure
from kiqdoctor.wire import codec
from kiqdoctor.wire.payload import backtrace, plain_payload


def failing(lab: Any, **options: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Fail", **options)
    def fail(*args: Any) -> None:
        lab.note(args)
        raise ValueError("no")

    return fail


def run(lab: Any, job: Job[..., None], *args: Any) -> None:
    """Once, to the end of what follows from it."""
    before = len(lab.seen)
    job.perform_async(*args)
    lab.work()
    assert len(lab.seen) == before + 1


def due_in(lab: Any) -> float:
    """Seconds from its first failure."""
    [(raw, score)] = lab.redis.zrange("retry", 0, -1, withscores=True)
    return float(score) - float(codec.decode(raw)["failed_at"])


def test_without_a_formula_it_is_sidekiq_s(lab: Any) -> None:
    run(lab, failing(lab))

    assert 10 < due_in(lab) <= 25
    [job] = lab.jobs("retry")
    assert (job["retry_count"], job["error_class"], job["error_message"]) == (0, "ValueError", "no")


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [(1000, 995, 1010), (1000.9, 995, 1010), (timedelta(minutes=20), 1195, 1210), (1e30, 999_999_990, 1_000_000_010)],
)
def test_a_time_of_its_own(lab: Any, answer: Any, least: float, most: float) -> None:
    run(lab, failing(lab, retry_in=lambda count, error: answer))

    assert least < due_in(lab) <= most


@pytest.mark.parametrize("answer", [None, 0, -5, 0.4, "soon", True, [], float("nan"), float("inf"), float("-inf")])
def test_an_answer_that_is_no_time_falls_back_to_sidekiq_s(lab: Any, answer: Any) -> None:
    run(lab, failing(lab, retry_in=lambda count, error: answer))

    assert 10 < due_in(lab) <= 25


@pytest.mark.parametrize("error", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_a_formula_that_raises_falls_back_to_sidekiq_s(lab: Any, error: type[BaseException]) -> None:
    def formula(count: int, cause: BaseException) -> None:
        raise error

    run(lab, failing(lab, retry_in=formula))

    assert 10 < due_in(lab) <= 25


def test_the_formula_gets_the_count_and_the_error(lab: Any) -> None:
    asked: list[Any] = []

    def formula(count: int, error: BaseException) -> int:
        asked.append((count, str(error)))
        return 1000

    fail = failing(lab, retry_in=formula)
    run(lab, fail)
    lab.poll(ahead=2000)
    lab.work()

    assert asked == [(0, "no"), (1, "no")]
    assert lab.jobs("retry")[0]["retry_count"] == 1


def test_killed_by_its_formula_it_is_dead_at_once(lab: Any) -> None:
    told: list[Any] = []
    lab.configure(death_handlers=[lambda fields, error: told.append((fields["jid"], type(error)))])
    exhausted: list[str] = []
    run(
        lab,
        failing(
            lab,
            retry_in=lambda count, error: "kill",
            retries_exhausted=lambda fields, error: exhausted.append(fields["jid"]),
        ),
    )

    [job] = lab.jobs("dead")
    assert told == [(job["jid"], ValueError)]
    assert exhausted == [job["jid"]]
    assert not lab.redis.exists("retry")


def test_discarded_by_its_formula_it_is_gone_and_death_handlers_hear_of_it(lab: Any) -> None:
    told: list[Any] = []
    lab.configure(death_handlers=[lambda fields, error: told.append(fields["jid"])])
    run(lab, failing(lab, retry_in=lambda count, error: "discard"))

    assert len(told) == 1
    assert not lab.redis.exists("retry", "dead")


@pytest.mark.parametrize(("retry", "dead", "told"), [(0, 1, 1), (False, 0, 1), (1, 0, 0)])
def test_how_often_it_is_tried(lab: Any, retry: Any, dead: int, told: int) -> None:
    heard: list[Any] = []
    lab.configure(death_handlers=[lambda fields, error: heard.append(fields)])
    run(lab, failing(lab, retry=retry))

    assert lab.redis.zcard("dead") == dead
    assert lab.redis.zcard("retry") == (retry == 1 and retry is not True and dead == 0)
    assert len(heard) == told


def test_the_last_try_ends_among_the_dead(lab: Any) -> None:
    fail = failing(lab, retry=2)
    run(lab, fail)
    for _ in range(2):
        lab.poll(ahead=10_000)
        lab.work()

    [job] = lab.jobs("dead")
    assert job["retry_count"] == 2
    assert len(lab.seen) == 3


def test_dead_false_leaves_nothing_and_tells_the_death_handlers(lab: Any) -> None:
    told: list[Any] = []
    lab.configure(death_handlers=[lambda fields, error: told.append(fields)])
    run(lab, failing(lab, retry=0, dead=False))

    assert not lab.redis.exists("dead", "retry")
    assert len(told) == 1


def test_exhausted_may_discard(lab: Any) -> None:
    run(lab, failing(lab, retry=0, retries_exhausted=lambda fields, error: "discard"))

    assert not lab.redis.exists("dead", "retry")


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_callables_that_raise_stop_nothing(lab: Any, error: type[BaseException]) -> None:
    told: list[Any] = []

    def broken(fields: dict[str, Any], cause: BaseException) -> None:
        raise error

    lab.configure(death_handlers=[broken, lambda fields, cause: told.append(fields["class"])])
    run(lab, failing(lab, retry=0, retries_exhausted=broken))

    assert told == ["Fail"]
    assert lab.redis.zcard("dead") == 1


def test_a_window_replaces_the_count(lab: Any) -> None:
    fail = failing(lab, retry=1, retry_for=3600)
    run(lab, fail)
    [raw] = lab.redis.zrange("retry", 0, -1)
    lab.redis.delete("retry")
    within = raw.replace(b'"retry_count":0', b'"retry_count":40')
    lab.redis.lpush("queue:default", within)
    lab.work()
    [job] = lab.jobs("retry")
    assert job["retry_count"] == 41

    lab.redis.delete("retry")
    stale = {**job, "failed_at": job["failed_at"] - 3700}
    lab.redis.lpush("queue:default", codec.encode(stale))
    lab.work()
    assert lab.redis.zcard("dead") == 1


def test_further_tries_go_to_their_own_queue(lab: Any) -> None:
    run(lab, failing(lab, retry_queue="patient"))
    lab.poll(ahead=100)

    [job] = lab.jobs("queue:patient")
    assert job["queue"] == "patient"
    lab.work("patient")
    assert lab.jobs("retry")[0]["queue"] == "patient"


def test_the_dead_set_is_trimmed_where_one_is_added(lab: Any) -> None:
    old = time.time() - 181 * 24 * 3600
    lab.redis.zadd("dead", {f"old{n}": old for n in range(10)})
    lab.redis.zadd("dead", {f"new{n}": time.time() - n for n in range(10_050)})
    run(lab, failing(lab, retry=0))

    assert lab.redis.zcard("dead") <= 10_000
    assert lab.redis.zscore("dead", "old0") is None
    assert lab.redis.zscore("dead", "new10049") is None
    assert b"Fail" in lab.redis.zrange("dead", -1, -1)[0]


def test_a_backtrace_of_so_many_lines(lab: Any) -> None:
    run(lab, failing(lab, backtrace=1))

    [line] = backtrace(lab.jobs("retry")[0]["error_backtrace"])
    assert "test_retries.py" in line


@pytest.mark.parametrize(
    "odd",
    [
        b'"retry_count":%d,"retry_for":1000000000,"failed_at":4000000000.5' % 10**80,
        b'"retry_count":"many","failed_at":{},"retry":"often","error_message":null',
        b'"retry":-3',
        b'"args":[%d]' % 10**40,
        b'"args":' + b"[" * 300 + b"]" * 300,
    ],
)
def test_an_odd_payload_that_fails_is_kept_and_costs_no_thread(lab: Any, odd: bytes) -> None:
    failing(lab)
    lab.redis.lpush("queue:default", b'{"class":"Fail","args":[],"queue":"default","jid":"odd",%b}' % odd)
    with kiqdoctor.embed(concurrency=1):
        lab.idle()
        lab.redis.lpush("queue:default", b'{"class":"Fail","args":[],"queue":"default","jid":"next","retry":false}')
        lab.idle()

    kept = lab.jobs("retry") + lab.jobs("dead")
    assert [job["jid"] for job in kept] == ["odd"]
    assert len(lab.seen) == 2


def test_many_that_fail_are_fetched_and_told_together(lab: Any) -> None:
    @kiqdoctor.job(name="Fails")
    def fails(n: int) -> None:
        raise LookupError(n)

    fails.perform_bulk([[n] for n in range(400)])
    lab.redis.config_resetstat()
    lab.work()

    assert lab.redis.zcard("retry") == 400
    assert lab.redis.info("commandstats")["cmdstat_evalsha"]["calls"] < 400  # as many as each by itself would be


def test_the_error_of_an_odd_payload_s_job_has_none_of_ours_as_its_context(lab: Any) -> None:
    contexts: list[Any] = []
    lab.configure(error_handlers=[lambda _, error: contexts.append(error.__context__)])
    failing(lab)
    lab.redis.lpush("queue:default", b'{"class":"Fail","args":[],"queue":"default"}')
    lab.work()

    assert contexts == [None]


def called(name: str) -> Exception:
    return type("Odd", (Exception,), {"__qualname__": name})("no")  # type: ignore[no-any-return]


@pytest.mark.parametrize("retry", [True, False, 0, 1, -5, "3", "x", [], None, 0.5, 2**70, 1e308])
@pytest.mark.parametrize("error", [ValueError("no"), called("a.b"), called("\ud800")], ids=["plain", "dotted", "half"])
def test_a_first_failure_is_decided_as_any_other(retry: Any, error: Exception) -> None:
    raw = codec.encode_payload({"class": "Odd", "args": [1], "jid": "j", "queue": "q", "retry": retry})
    job: Job[..., Any] = kiqdoctor.job(name="Odd")(print)

    first = after_first_failure(raw, plain_payload(raw), "q", job, error, 2.5, 0.25)

    if first is not None:
        score, tail = first
        again = Destination(End.RETRY, float(score), raw[:-1] + tail.encode())
        assert again == after_failure(raw, "q", job, error, 2.5, 0.25)


def test_an_error_whose_class_cannot_be_told_loses_no_job(lab: Any) -> None:
    @kiqdoctor.job(name="Odd")
    def odd() -> None:
        raise called("\ud800")

    odd.perform_async()
    lab.work()

    assert [job["class"] for job in lab.jobs("dead")] == ["Odd"]
