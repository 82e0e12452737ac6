"""What is asked and told for many jobs at once, as each of them sees it."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from servers import eventually

from kiqdoctor.clock import Clock
from kiqdoctor.runtime.books import FRESH, RedisBooks
from kiqdoctor.runtime.fetching.work import Home, Work
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.wire.keys import Keys

KEYS = Keys(None)


def running(jid: str) -> Running:
    work = Work(b'{"class":"Steps","args":[],"jid":"%b"}' % jid.encode(), Home("default"))
    return Running("Steps", jid, "default", [], None, 0.0, work=work)


def works(*of: Running) -> list[Work]:
    return [one.work for one in of if one.work is not None]


@pytest.mark.parametrize("waited", [0.0, FRESH])
def test_one_that_waits_behind_a_slow_job_may_be_cancelled_meanwhile(redis: Any, waited: float) -> None:
    now = 0.0
    slow, behind = running("slow"), running("behind")
    books = RedisBooks(redis, KEYS, lambda: works(behind), Clock(boottime=lambda: now))
    first = books.cursor(slow)
    redis.hset("it-behind", "cancelled", 1)
    now += waited
    second = books.cursor(behind)
    for one in (first, second):
        one.load()

    assert not first.cancelled
    assert second.cancelled == (waited > 0)


def test_a_job_without_an_id_is_asked_for_like_any(redis: Any) -> None:
    nobody = running("")
    found = RedisBooks(redis, KEYS, list).cursor(nobody)
    found.load()

    assert (found.value, found.cancelled) == (None, False)


class Held:
    """A Redis whose first answer is long in coming."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.asked, self.go = threading.Event(), threading.Event()

    def register_script(self, source: str) -> None: ...

    @contextmanager
    def pipeline(self, *, transaction: bool) -> Iterator["Held"]:
        yield self

    def execute_command(self, name: str, key: str, *words: Any) -> None:
        if name == "HSET":
            if not self.asked.is_set():
                self.asked.set()
                assert self.go.wait(60)
            self.told.append(dict(zip(words[::2], words[1::2], strict=True)).get("done"))

    def execute(self) -> Sequence[Any]:
        return []


def test_how_far_it_came_at_last_is_told_after_what_was_told_before() -> None:
    client: Any = Held()
    books, one = RedisBooks(client, KEYS, list), running("one")
    books.runs(one, 1.0, {"done": 1})
    ticker = threading.Thread(target=books.tick)
    ticker.start()
    assert client.asked.wait(60)
    books.runs(one, 2.0, {"done": 2})
    ending = threading.Thread(target=books.over, args=[one])
    ending.start()
    eventually(lambda: not books._notes)  # it is taken away: the end is on its way
    client.go.set()
    for thread in (ticker, ending):
        thread.join(60)

    assert client.told == [1, 2]
