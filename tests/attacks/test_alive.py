"""The living are not dead: whatever keeps a worker from seeing its neighbours proves nothing about them."""

import itertools
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from fetching import ELSEWHERE, KEYS, Process, Start, payload, push, queued, starting
from servers import RedisServer, eventually

import kiqdoctor
from kiqdoctor.runtime.embedding import embed
from kiqdoctor.runtime.endings import Ending, Step
from kiqdoctor.runtime.fetching.holdings import ReplyError
from kiqdoctor.runtime.fetching.seats import Fate, _stat, fate, here
from kiqdoctor.runtime.fetching.waits import Waits
from kiqdoctor.runtime.fetching.work import FencedError
from kiqdoctor.runtime.iterating import Cursor
from kiqdoctor.runtime.job import REGISTRY
from kiqdoctor.runtime.launcher import Launcher
from kiqdoctor.wire.account import LEFT, STOPPING, Whereabouts
from kiqdoctor.wire.payload import FADES, read

DAY: Final = 24 * 3600.0


@pytest.fixture
def start(redis: Any, redis_server: RedisServer) -> Iterator[Start]:
    with starting(redis_server.url) as one:
        yield one


@pytest.fixture
def configured(redis: Any, redis_server: RedisServer) -> Iterator[None]:
    kiqdoctor.configure(redis=redis_server.url)
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.fixture
def neighbour() -> Iterator[Whereabouts]:
    """A healthy process of this host, and where it sits."""
    program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield replace(here(), pid=program.pid, started=_stat(program.pid)[1])
    program.communicate()


@contextmanager
def out_of_descriptors() -> Iterator[None]:
    held = []
    with suppress(OSError):
        while True:
            held.append(os.open("/dev/null", os.O_RDONLY))
    try:
        yield
    finally:
        for number in held:
            os.close(number)


# -- proof -----------------------------------------------------------------------------------------------------------


def test_out_of_descriptors_nobody_is_taken_for_dead(neighbour: Whereabouts) -> None:
    import resource

    ours, limits = here(), resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    try:
        with out_of_descriptors():
            blind = fate(ours, neighbour)
            gone = fate(ours, replace(neighbour, pid=2**22 + 1))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)

    assert blind is Fate.UNKNOWN
    assert gone is Fate.DEAD  # ESRCH needs no descriptor
    assert fate(ours, neighbour) is Fate.ALIVE


VEILED: Final = """
import os, sys
from kiqdoctor.runtime.fetching.holdings import ReplyError
from kiqdoctor.runtime.fetching.seats import fate, here
from kiqdoctor.wire.account import Whereabouts
ours = here()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
other = Whereabouts(ours.boot, ours.namespace, int(sys.argv[1]), sys.argv[2])
print(os.path.exists(f"/proc/{other.pid}"), fate(ours, other).value)
"""


def test_under_hidepid_a_neighbour_of_another_user_is_not_dead(neighbour: Whereabouts) -> None:
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare: a /proc of its own with hidepid=2")
    shell = 'mount -t proc -o hidepid=2 proc /proc && exec "$0" "$@"'
    words = ["unshare", "--mount", "sh", "-c", shell, sys.executable, "-c", VEILED, str(neighbour.pid), "1"]
    told = subprocess.run(words, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    if "mount" in told.stderr or "unshare" in told.stderr:
        pytest.skip(f"no mount namespace here: {told.stderr.strip()}")
    assert told.stdout.split() == ["False", Fate.UNKNOWN], told.stderr


@pytest.mark.parametrize("what", [{"boot": ""}, {"namespace": ""}, {"pid": 0}, {"pid": -1}, {"pid": 2**70}])
def test_what_does_not_say_where_it_sits_is_neither_dead_nor_alive(what: dict[str, Any]) -> None:
    ours = here()
    assert fate(ours, replace(ours, **what)) is Fate.UNKNOWN
    assert fate(replace(ours, **what), replace(ours, **what)) is Fate.UNKNOWN


def test_a_live_process_of_this_host_keeps_its_jobs_without_a_lease(
    redis: Any, start: Start, neighbour: Whereabouts
) -> None:
    owner, other = start(), start()
    push(redis, payload("Job", "mine"))
    work = owner.need()
    owner.sit(neighbour)
    redis.delete(KEYS.lease(owner.identity))

    assert other.recovery().scan() == 0
    assert owner.held(redis) == {work.payload: 1}


def test_what_an_identity_left_behind_is_found_though_its_process_lives(redis: Any, start: Start) -> None:
    owner, other = start(), start()
    push(redis, payload("Job", "left"))
    owner.need()
    owner.sit(here())
    owner.lease.leave_open()
    redis.delete(KEYS.lease(owner.identity))

    assert json.loads(redis.hget(KEYS.index, owner.identity))["state"] == LEFT
    assert other.recovery().scan() == 1


# -- poison ----------------------------------------------------------------------------------------------------------


def killed(redis: Any, start: Start, seat: Whereabouts | None = None) -> Process:
    """One that took the next job and was killed."""
    process = start()
    process.need()
    process.sit(seat or replace(here(), started="long before"))
    process.die()
    redis.delete(KEYS.lease(process.identity), KEYS.recovering)
    return process


def test_a_lost_lease_is_no_death_of_a_job(redis: Any, start: Start) -> None:
    survivor, lost = start(), payload("Job", "lost", recovered=2)
    recovery = survivor.recovery()
    push(redis, lost)
    for _ in range(4):
        killed(redis, start, ELSEWHERE)
        assert recovery.scan() == 1

    assert list(queued(redis)) == [lost]


def test_a_process_that_was_asked_to_stop_says_nothing_of_its_jobs(redis: Any, start: Start) -> None:
    interrupted = payload("Job", "interrupted", recovered=2)
    push(redis, interrupted)
    process = start()
    process.need()
    process.sit(replace(here(), started="long before"))
    process.lease.stopping()  # and then its time was over
    process.die()

    assert json.loads(redis.hget(KEYS.index, process.identity))["state"] == STOPPING
    assert start().recovery().scan() == 1
    assert list(queued(redis)) == [interrupted]


def test_three_deaths_count_within_three_days(redis: Any, start: Start) -> None:
    now = time.time()
    old = [now - FADES - DAY, now - FADES - 60, now - DAY]
    push(redis, payload("Job", "slow", recovered=3, recovered_at=old))
    killed(redis, start)

    assert start().recovery().scan() == 1

    [raw] = queued(redis)
    assert read(raw).deaths(now) == 2
    killed(redis, start)
    redis.delete(KEYS.recovering)
    assert start().recovery().scan() == 1
    assert redis.zcard("dead") == 1


def test_whoever_was_given_back_is_no_suspect_any_more(redis: Any, configured: None) -> None:
    began = threading.Event()

    @kiqdoctor.job(name="Long")
    def long(cursor: int | None = None) -> Iterator[int]:
        while True:
            began.set()
            time.sleep(0.01)
            yield 1

    push(redis, payload("Long", "long", recovered=1))
    with embed(concurrency=1, timeout=20):
        assert began.wait(60)
    [raw] = queued(redis)
    assert "recovered" not in json.loads(raw)


@pytest.mark.long
def test_suspects_do_not_starve_the_others(redis: Any, configured: None) -> None:
    done: list[str] = []

    @kiqdoctor.job(name="Noted")
    def noted(name: str, seconds: float) -> None:
        time.sleep(seconds)
        done.append(name)

    push(redis, *[payload("Noted", f"s{n}", f"s{n}", 8.0, recovered=2) for n in range(6)])
    push(redis, *[payload("Noted", f"n{n}", f"n{n}", 0.01) for n in range(100)])
    with embed(concurrency=10):
        eventually(lambda: len(done) == 106, "six suspects of 8 s and 100 others")
    assert done[0].startswith("n")


def test_a_suspect_that_may_not_begin_holds_up_nobody_behind_it(redis: Any, configured: None) -> None:
    gate, done = threading.Event(), threading.Event()

    @kiqdoctor.job(name="Held")
    def held() -> None:
        gate.wait(60)

    @kiqdoctor.job(name="Plain")
    def plain() -> None:
        done.set()

    push(redis, *[payload("Held", f"s{n}", recovered=2) for n in range(6)], payload("Plain", "plain"))
    with embed(concurrency=3):
        assert done.wait(60), "the plain job behind six suspects"
        gate.set()


# -- at most once ----------------------------------------------------------------------------------------------------


def test_what_had_not_begun_goes_back_though_it_may_run_once_only(redis: Any, start: Start) -> None:
    once = payload("Once", "once", at_most_once=True)
    push(redis, once)
    killed(redis, start)

    assert start().recovery().scan() == 1
    assert [read(raw).jid for raw in queued(redis)] == ["once"]
    assert not redis.exists("dead")


def test_its_list_says_that_it_has_begun_before_it_begins(redis: Any, configured: None) -> None:
    seen: list[dict[str, Any]] = []

    @kiqdoctor.job(name="Once", at_most_once=True)
    def once() -> None:
        seen.extend(json.loads(raw) for key in redis.keys("kiq:taken:*") for raw in redis.lrange(key, 0, -1))

    once.perform_async()
    with embed(concurrency=1) as worker:
        eventually(lambda: seen)
        identity = worker.identity
    assert [fields["kiq_started"] for fields in seen] == [identity]
    assert not redis.keys("kiq:taken:*")


def test_whoever_finds_it_begun_by_another_does_not_begin_it(redis: Any, configured: None) -> None:
    ran = threading.Event()

    @kiqdoctor.job(name="Once", at_most_once=True)
    def once() -> None:
        ran.set()

    push(redis, payload("Once", "once", at_most_once=True, kiq_started="elsewhere:1:a"))
    with embed(concurrency=1):
        eventually(lambda: redis.zcard("dead") == 1)
    assert not ran.is_set()
    [raw] = redis.zrange("dead", 0, -1)
    assert "kiq_started" not in json.loads(raw)  # a person may want it to begin again


# -- fenced ----------------------------------------------------------------------------------------------------------


def test_a_place_is_told_by_whoever_holds_the_job(redis: Any, start: Start) -> None:
    first, second = start(), start()
    push(redis, payload("Steps", "steps"))
    work = first.need()
    ours = Cursor(first.client, KEYS, "steps", work)
    ours.load()
    ours.value = 3
    ours.save(time.monotonic())
    redis.delete(KEYS.lease(first.identity), KEYS.recovering)
    assert second.recovery().scan() == 1
    theirs = Cursor(second.client, KEYS, "steps", second.need())
    theirs.load()
    assert theirs.value == 3
    theirs.value = 9
    theirs.save(time.monotonic())

    ours.value = 4
    with pytest.raises(FencedError):
        ours.save(time.monotonic())
    assert not first.fetch.send_on(work, Ending((Step("UNLINK", KEYS.iteration("steps")),)))  # its end, as it sees it
    assert redis.hget("it-steps", "c") == b"9"


def test_an_iterable_job_stops_at_the_step_after_its_process_lost_it(redis: Any, configured: None) -> None:
    steps, ended = [], threading.Event()

    @kiqdoctor.job(name="Steps")
    def count(cursor: int | None = None) -> Iterator[int]:
        try:
            for number in range(10_000):
                steps.append(number)
                time.sleep(0.01)
                yield number
        finally:
            ended.set()

    count.perform_async()
    with embed(concurrency=1) as worker:
        eventually(lambda: len(steps) > 3)
        [key] = [key for key in redis.keys("kiq:taken:*") if redis.llen(key)]
        redis.lpop(key)  # as a recovery does it
        worker.lease.good_until = 0.0  # a process that wakes after 21 s
        assert ended.wait(60)
        eventually(lambda: worker.board.busy == 0)
    assert not redis.exists("retry", "dead", "queue:default")
    assert worker.board.totals() == (1, 0)


# -- what stands between ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [[], None, 7, b"OK", [b"QUEUED"]])
def test_an_answer_that_the_script_does_not_give_loses_nothing(
    redis: Any, start: Start, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    """It was carried out, and what it brought and told is found in the lists."""
    process = start()
    push(redis, b"one", b"two", b"three")
    process.fetch.done(process.need())
    for lane in process.fetch.holdings.lanes[:2]:
        call = lane.channel.call

        def other(request: bytes, script: Any = None, call: Any = call) -> Any:
            reply = call(request, script)
            return reply if script is None else answer

        monkeypatch.setattr(lane.channel, "call", other)
    with pytest.raises(ReplyError):
        process.take_all()
    monkeypatch.undo()
    for work in process.take_all():
        process.fetch.done(work)
    process.take_all()

    assert process.held(redis) == {}
    assert not queued(redis)
    assert process.fetch.unfound == 0


@pytest.mark.parametrize("answer", [[], [b"QUEUED"], 7], ids=["a list", "queued", "a number"])
def test_a_wait_that_is_answered_as_by_no_redis_loses_no_job_and_no_thread(
    configured: None, redis: Any, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    ran: list[int] = []
    lied: list[int] = []
    numbers = itertools.count()
    note = kiqdoctor.job(name="Note")(ran.append)
    collect = Waits.collect

    def lying(self: Waits) -> list[tuple[int, Any]]:
        found = collect(self)
        if lied or all(reply is None for _, reply in found):
            return found
        lied.append(len(found))
        return [(index, answer) for index, _ in found]

    monkeypatch.setattr(Waits, "collect", lying)
    with embed(concurrency=2):
        eventually(lambda: lied or not note.perform_async(next(numbers)))  # what finds no thread waiting is no wait's
        pushed = next(numbers)
        eventually(lambda: len(ran) == pushed)
        assert len([one for one in threading.enumerate() if one.name.startswith("kiq.processor")]) == 2

    assert sorted(ran) == list(range(pushed))


def test_who_is_asked_for_its_pulse_while_it_starts_has_one(
    configured: None, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that told its parent of it died at the first moment that fell between two assignments."""
    made, asked = Launcher._new_vitals, []

    def late(self: Launcher, manager: Any) -> Any:
        asked.append(self.not_live())
        return made(self, manager)

    monkeypatch.setattr(Launcher, "_new_vitals", late)
    with embed(concurrency=1):
        assert asked == [None]
