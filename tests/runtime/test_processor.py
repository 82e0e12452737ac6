"""One thread by itself: how it reads payloads, and what it says of Redis."""

import json
from collections.abc import Iterator
from math import inf
from types import SimpleNamespace
from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.runtime import log
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.config import Settings
from kiqdoctor.runtime.fetching.work import Home, Work
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.performing import Performer
from kiqdoctor.runtime.processor import Processor
from kiqdoctor.wire.payload import Known, Plain, plain_payload
from kiqdoctor.wire.status import NOTHING_MORE


class Given:
    """Gives what it was given, one after another, and raises what is an error."""

    def __init__(self, *given: Work | Exception) -> None:
        self.given, self.ended = list(given), list[Work]()
        self.lease, self.slowest, self.done = SimpleNamespace(good_until=inf), 0.0, self.ended.append

    def take(self, number: int) -> Work:
        found = self.given.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def works(self, number: int) -> Iterator[Work]:
        while self.given:
            yield self.take(number)

    def leave(self, work: Work, ending: object) -> None:
        self.ended.append(work)

    send_on = leave


class Still:
    """A clock on which waiting takes no time."""

    def now(self) -> float:
        return 1_700_000_000.0

    monotonic = boottime = now

    def sleep(self, seconds: float) -> None: ...


def work(name: str, **fields: Any) -> Work:
    payload = {"class": name, "args": [], "jid": "a" * 24, "queue": "default", **fields}
    return Work(json.dumps(payload).encode(), Home("default"))


def processor(fetch: Any, job: Job[..., Any]) -> Processor:
    clock: Any = Still()
    books: Any = None
    performer = Performer(books, Settings("redis://nowhere"), {job.name: job}, lambda: "me", lambda: False)
    made = Processor(1, fetch, Board(), performer, stopping=lambda: not fetch.given, fenced=lambda: None, clock=clock)
    made._seat.mark.take()
    return made


@pytest.mark.parametrize("fields", [{"kiq_lock": "one"}, {"expiry": 9e9}, {"tags": ["one"]}, {"retry_count": 0}])
def test_plain_payloads_are_read_as_such_again_after_another(fields: dict[str, Any]) -> None:
    read: list[type] = []
    job = kiqdoctor.job(name="Any")(lambda: read.append(type(kiqdoctor.current().payload)))
    fetch = Given(work("Any"), work("Any", **fields), *(work("Any") for _ in range(20)), work("Any", **fields))
    everything = list(fetch.given)
    processor(fetch, job)._work_off(fetch.works(1))

    assert read[:2] == [Plain, Known]
    assert read[-2:] == [Plain, Known]
    assert fetch.ended == everything


def test_it_says_that_redis_is_back_before_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[str] = []

    def look() -> None:
        log.flush()
        seen.append(capsys.readouterr().err)

    fetch = Given(OSError("gone"), work("Look"), work("Look"))
    processor(fetch, kiqdoctor.job(name="Look")(look)).run()

    assert len(seen) == 2
    assert "Redis is online, 0.0 s downtime" in seen[0]
    assert "online" not in seen[1]


@pytest.mark.parametrize("fails", [False, True])
def test_the_time_of_an_end_is_not_before_what_was_told_while_it_ran(fails: bool) -> None:
    class Late(Still):
        def now(self) -> float:
            return 1_700_000_000.1239

    job = kiqdoctor.job(name="Told", status=True)(print)
    clock, books = Late(), SimpleNamespace()
    performer = Performer(books, Settings("redis://nowhere"), {}, lambda: "me", lambda: False, clock=clock)  # type: ignore[arg-type]
    one = work("Told")
    record = plain_payload(one.payload)
    running: Any = SimpleNamespace(work=one, outcome=NOTHING_MORE)

    ending = performer.failed(job, record, one, OSError()) if fails else performer.done(job, record, running, soon=True)

    [told] = [step.words for step in ending.steps if step.name == "TELL"]
    assert told[told.index("at") + 1] == repr(clock.now())


@pytest.mark.parametrize("fails", [False, True])
def test_one_run_that_was_held_up_says_little_of_its_class(monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    """Else what is fetched ahead would fall to nothing at each hiccup of the machine; long ones are soon seen."""
    time = SimpleNamespace(now=100.0)
    monkeypatch.setattr("kiqdoctor.runtime.processor.boottime", lambda: time.now)

    def lasts(seconds: float) -> None:
        time.now += seconds
        if fails:
            raise ValueError

    job = kiqdoctor.job(name="Lasts")(lasts)
    paces = []
    for seconds in (0.001, 10.0, *[0.001] * 30, *[10.0] * 30):
        fetch = Given(work("Lasts", args=[seconds]))
        processor(fetch, job)._work_off(fetch.works(1))
        paces.append(job.pace)

    assert paces[0] == pytest.approx(0.001)
    assert paces[1] < 0.003
    assert paces[31] < 0.002
    assert paces[-1] > 1.0
    assert fetch.slowest == job.pace
