"""The jobs of the dead on a real Redis: who counts as dead, what becomes of each job, who may look and when."""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import redis as redis_py
from faults import Proxy
from fetching import ELSEWHERE, KEYS, LEAVE, Process, Start, bytes_of, jobs, payload, push, queued, ticked
from servers import RedisServer, eventually

import kiqdoctor
from kiqdoctor.runtime.batches import progress
from kiqdoctor.runtime.burying import InterruptedOnceError, PoisonError
from kiqdoctor.runtime.config import Settings
from kiqdoctor.runtime.embedding import embed
from kiqdoctor.runtime.endings import End, slot
from kiqdoctor.runtime.fetching.lease import LEASE, MARGIN, RENEW
from kiqdoctor.runtime.fetching.seats import here
from kiqdoctor.runtime.job import REGISTRY
from kiqdoctor.runtime.limits import Limits
from kiqdoctor.runtime.recover import LATE, LOCK, PROMPT
from kiqdoctor.runtime.retrying import after_failure
from kiqdoctor.wire.account import Whereabouts
from kiqdoctor.wire.payload import read
from kiqdoctor.wire.recovery import REMEMBERED


@pytest.fixture
def configured(redis: Any, redis_server: RedisServer) -> Iterator[None]:
    kiqdoctor.configure(redis=redis_server.url)
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


class Dead:
    """A process that took what is pushed and was killed, again and again."""

    def __init__(self, redis: Any, start: Start, seat: Whereabouts) -> None:
        self.redis, self.start, self.seat = redis, start, seat

    def holding(self, count: int) -> Process:
        """One that held the next so many jobs when it died."""
        process = self.start()
        process.fetch.pace.want = count
        assert process.take() is not None
        assert sum(process.held(self.redis).values()) == count
        process.sit(self.seat)
        process.die()
        self.redis.delete(KEYS.lease(process.identity), KEYS.recovering)
        return process


@pytest.fixture
def dead(redis: Any, start: Start) -> Dead:
    """Proven: its pid is somebody else's by now."""
    return Dead(redis, start, replace(here(), started="long before"))


@pytest.fixture
def silent(redis: Any, start: Start) -> Dead:
    """Its lease is gone, and nobody can see more."""
    return Dead(redis, start, ELSEWHERE)


def deaths(raws: Any) -> dict[str, int]:
    """jid -> how many processes died with it in flight."""
    return {fields["jid"]: fields.get("recovered", 0) for fields in map(json.loads, raws)}


def told(settings: Settings) -> tuple[Settings, list[Any]]:
    """Settings that note what handlers hear."""
    heard: list[Any] = []
    noted = replace(
        settings,
        death_handlers=(lambda fields, error: heard.append(("death", fields["jid"], type(error).__name__)),),
        on_recovered=(lambda identity, found: heard.append((identity, [fields["jid"] for fields in found])),),
    )
    return noted, heard


# -- what becomes of a job -----------------------------------------------------------------------------------------


def test_jobs_go_back_in_the_order_in_which_they_were_to_run(redis: Any, start: Start, dead: Dead) -> None:
    pushed = jobs(6)
    push(redis, *pushed)
    dead.holding(4)
    survivor = start()

    assert survivor.recovery().scan() == 4

    assert [json.loads(work.payload)["jid"] for work in survivor.take_all()] == [f"default-{n}" for n in range(6)]


def test_a_job_is_counted_for_each_death_and_buried_at_the_third(redis: Any, start: Start, dead: Dead) -> None:
    survivor = start()
    settings, heard = told(Settings("redis://unused"))
    recovery = survivor.recovery(settings)
    push(redis, payload("Killer", "poison", 1))

    for number in (1, 2):
        dead.holding(1)
        assert recovery.scan() == 1
        assert deaths(queued(redis)) == {"poison": number}
        assert not redis.exists("dead")
    last = dead.holding(1)
    assert recovery.scan() == 1

    assert not redis.exists("queue:default")
    [raw] = redis.zrange("dead", 0, -1)
    fields = json.loads(raw)
    assert fields["recovered"] == 3
    assert fields["error_class"] == "kiqdoctor.Poison"
    assert fields["error_message"] == "in flight when 3 processes died"
    assert fields["failed_at"]
    assert ("death", "poison", PoisonError.__name__) in heard
    assert (last.identity, ["poison"]) in heard


def test_a_buried_job_that_is_not_to_be_kept_is_gone_and_its_handlers_hear(
    redis: Any, start: Start, dead: Dead
) -> None:
    settings, heard = told(Settings("redis://unused"))
    push(redis, payload("Killer", "poison", recovered=2, dead=False))
    dead.holding(1)

    assert start().recovery(settings).scan() == 1

    assert not redis.exists("dead", "queue:default")
    assert ("death", "poison", PoisonError.__name__) in heard


def test_a_job_that_may_run_once_is_buried_at_the_first_death(redis: Any, start: Start, dead: Dead) -> None:
    settings, heard = told(Settings("redis://unused"))
    push(redis, payload("Once", "once", at_most_once=True, kiq_started="here:1:a"))
    dead.holding(1)

    assert start().recovery(settings).scan() == 1

    [raw] = redis.zrange("dead", 0, -1)
    assert json.loads(raw)["error_class"] == "kiqdoctor.InterruptedOnce"
    assert ("death", "once", InterruptedOnceError.__name__) in heard


def test_beside_suspects_nobody_else_is_counted(redis: Any, start: Start, dead: Dead) -> None:
    push(redis, payload("Job", "bystander"), payload("Job", "suspect", recovered=1), payload("Job", "another"))
    dead.holding(3)

    assert start().recovery().scan() == 3

    assert deaths(queued(redis)) == {"bystander": 0, "suspect": 2, "another": 0}


def test_a_bystander_is_written_back_as_it_was(redis: Any, start: Start, dead: Dead) -> None:
    odd = b'{ "class":"Job", "args":[1e2, 9007199254740993, []],"jid":"bystander","queue":"default" }'
    push(redis, odd, payload("Job", "suspect", recovered=1))
    dead.holding(2)
    assert start().recovery().scan() == 2
    assert odd in queued(redis)


def test_arguments_come_back_as_they_went(redis: Any, start: Start, dead: Dead) -> None:
    push(redis, b'{"class":"Job","args":[9007199254740993,[],{},1.5,"\\u00e9"],"jid":"a","queue":"default"}')
    dead.holding(1)
    assert start().recovery().scan() == 1
    [raw] = queued(redis)
    assert json.loads(raw)["args"] == [9007199254740993, [], {}, 1.5, "é"]


def test_bystanders_stay_uncounted_though_whoever_looked_died_half_way(
    redis: Any, proxy: Proxy, start: Start, dead: Dead
) -> None:
    push(redis, payload("Job", "one"), payload("Job", "two"), payload("Job", "suspect", recovered=1))
    dead.holding(3)
    first, second = start(proxy.url), start()
    recovery = first.recovery()
    held = proxy.hold_request(LEAVE)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(recovery.scan)
        held.wait()
        redis.delete(KEYS.recovering)
        cut = proxy.refuse(LEAVE)  # it comes as far as one job
        held.go_on.set()
        assert looking.exception() is not None
        assert cut.happened.is_set()

    assert second.recovery().scan() == 2
    assert deaths(queued(redis)) == {"suspect": 2, "one": 0, "two": 0}


def test_what_is_no_payload_goes_to_the_dead(redis: Any, start: Start, dead: Dead) -> None:
    push(redis, b"no JSON", payload("Job", "fine"))
    dead.holding(2)
    start().recovery().scan()
    assert redis.zrange("dead", 0, -1) == [b"no JSON"]
    assert deaths(queued(redis)) == {"fine": 1}


def test_a_failure_ends_the_count() -> None:
    fate = after_failure(payload("Job", "a", recovered=2), "default", None, ValueError("no"), 1.0, 0.5)
    assert fate.end is End.RETRY
    assert "recovered" not in json.loads(fate.payload)


def test_a_success_leaves_nothing_that_counts(redis: Any, start: Start, dead: Dead) -> None:
    push(redis, payload("Job", "a", recovered=1))
    survivor = start()
    [work] = survivor.take_all()
    survivor.fetch.done(work)
    eventually(lambda: ticked(survivor) and not survivor.held(redis))
    assert redis.keys("*a*") == [b"queues"] or not queued(redis)


def test_a_job_that_survived_two_deaths_runs_with_nothing_beside_it(redis: Any, configured: None) -> None:
    running: set[str] = set()
    beside: dict[str, set[str]] = {}
    lock, gate = threading.Lock(), threading.Event()

    @kiqdoctor.job(name="Noted")
    def noted(name: str) -> None:
        with lock:
            for other in running:
                beside[other].add(name)
            beside[name] = set(running)
            running.add(name)
        if name == "suspect":
            gate.wait(0.3)
        with lock:
            running.discard(name)

    names = [f"job-{number}" for number in range(40)]
    push(redis, *[payload("Noted", name, name) for name in names[:20]])
    push(redis, payload("Noted", "suspect", "suspect", recovered=2))
    push(redis, *[payload("Noted", name, name) for name in names[20:]])
    with embed(concurrency=4):
        eventually(lambda: len(beside) == 41 and not running)

    began_before = beside["suspect"]
    assert len(began_before) <= 3  # what other threads had begun may end
    assert all("suspect" not in found for name, found in beside.items() if name in names[25:])


# -- what a job held -----------------------------------------------------------------------------------------------


def test_the_place_among_the_running_is_freed(redis: Any, start: Start, dead: Dead) -> None:
    push(redis, payload("Limited", "a"), payload("Limited", "b", at_most_once=True))
    process = dead.holding(2)
    redis.zadd(KEYS.slots("Limited"), {f"{process.identity}|a": 1, f"{process.identity}|b": 2, "another|c": 3})

    start().recovery().scan()

    assert redis.zrange(KEYS.slots("Limited"), 0, -1) == [b"another|c"]


def test_a_buried_job_gives_up_its_lock_and_one_that_goes_back_keeps_it(redis: Any, start: Start, dead: Dead) -> None:
    push(redis, payload("Job", "a", kiq_lock="first"), payload("Job", "b", kiq_lock="second", recovered=2))
    push(redis, payload("Job", "c", kiq_lock="third", recovered=2))
    for lock, jid in (("first", "a"), ("second", "b"), ("third", "somebody else's")):
        redis.set(KEYS.unique(lock), jid)
    dead.holding(3)

    start().recovery().scan()

    assert redis.exists(KEYS.unique("first"))
    assert not redis.exists(KEYS.unique("second"))
    assert redis.exists(KEYS.unique("third"))


def test_a_batch_hears_of_a_burial(redis: Any, configured: None, start: Start, dead: Dead) -> None:
    @kiqdoctor.job(name="Once", at_most_once=True)
    def once() -> None: ...

    @kiqdoctor.job(name="Tidy", queue="callbacks")
    def tidy(batch: str) -> None: ...

    with kiqdoctor.Batch(on_complete=tidy) as batch:
        once.perform_async()
    process = start()
    work = process.need()
    assert process.fetch.begin(work, read(work.payload).with_(kiq_started=process.identity).encode(), process.identity)
    process.sit(dead.seat)
    process.die()
    redis.delete(KEYS.lease(process.identity))

    start().recovery().scan()

    found = progress(batch.id)
    assert found is not None
    assert (found.open, found.pending, found.failures) == (0, 1, 1)
    assert redis.llen("queue:callbacks") == 1


# -- what is told --------------------------------------------------------------------------------------------------


def test_a_recovery_is_counted_remembered_and_told(redis: Any, start: Start, dead: Dead) -> None:
    settings, heard = told(Settings("redis://unused"))
    survivor = start()
    recovery = survivor.recovery(settings)
    push(redis, payload("Job", "a"), payload("Job", "b"), payload("Job", "c", at_most_once=True, kiq_started="a"))
    process = dead.holding(3)

    assert recovery.scan() == 3

    assert redis.get(KEYS.recovered) == b"3"
    [entry] = redis.lrange(KEYS.recoveries, 0, -1)
    fields = json.loads(entry)
    assert (fields["identity"], fields["by"]) == (process.identity, survivor.identity)
    assert (fields["jobs"], fields["buried"]) == (3, 1)
    assert 0 < redis.ttl(KEYS.recoveries) <= 7 * 24 * 3600
    assert recovery.recovered == 3
    assert [one for one in heard if one[0] == process.identity] == [(process.identity, ["b", "a", "c"])]


def test_no_more_recoveries_are_remembered_than_are_useful(redis: Any, start: Start, dead: Dead) -> None:
    redis.lpush(KEYS.recoveries, *["old"] * REMEMBERED)
    push(redis, *jobs(1))
    dead.holding(1)
    start().recovery().scan()
    assert redis.llen(KEYS.recoveries) == REMEMBERED


def test_handlers_that_raise_stop_no_recovery(redis: Any, start: Start, dead: Dead) -> None:
    def broken(*words: Any) -> None:
        raise RuntimeError(str(words))

    settings = Settings("redis://unused", death_handlers=(broken,), on_recovered=(broken,))
    push(redis, payload("Job", "a", recovered=2), payload("Job", "b"))
    dead.holding(2)
    assert start().recovery(settings).scan() == 2
    assert redis.zcard("dead") == 1
    assert redis.llen("queue:default") == 1


def test_what_was_taken_back_is_told_though_the_connection_ended_half_way(
    redis: Any, proxy: Proxy, start: Start, dead: Dead
) -> None:
    settings, heard = told(Settings("redis://unused"))
    push(redis, *jobs(3))
    process = dead.holding(3)
    recovery = start(proxy.url).recovery(settings)
    held = proxy.hold_request(LEAVE)
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(recovery.scan)
        held.wait()
        proxy.refuse(LEAVE)
        held.go_on.set()
        assert looking.exception() is not None

    assert [(identity, len(found)) for identity, found in heard] == [(process.identity, 1)]
    assert redis.get(KEYS.recovered) == b"1"


# -- who is dead, and who may say so -------------------------------------------------------------------------------


def test_whoever_has_a_lease_lives(redis: Any, start: Start) -> None:
    owner, other = start(), start()
    push(redis, *jobs(2))
    works = owner.take_all()
    assert other.recovery().scan() == 0
    assert owner.held(redis) == bytes_of(works)


def test_nobody_judges_before_a_whole_lease_of_its_own(redis: Any, start: Start, silent: Dead) -> None:
    push(redis, *jobs(1))
    silent.holding(1)
    young = start()
    recovery = young.recovery()
    young.lease._steady_since = young.clock.boottime()

    for _ in range(int(LEASE / RENEW)):
        assert recovery.scan() == 0
        young.skipped += RENEW - 0.3
        assert young.lease.renew()
    assert recovery.scan() == 0
    young.skipped += 1

    assert recovery.scan() == 1


@pytest.mark.parametrize("gap", ["a renewal that failed", "a suspension", "a lease that ran out"])
def test_after_a_gap_of_its_own_nobody_judges_for_another_lease(
    redis: Any, start: Start, silent: Dead, gap: str
) -> None:
    push(redis, *jobs(1))
    silent.holding(1)
    process = start()
    recovery = process.recovery()
    if gap == "a renewal that failed":
        process.lease.interrupted()
    elif gap == "a suspension":
        process.skipped += LEASE - MARGIN + 1
    else:
        redis.delete(KEYS.lease(process.identity))
        process.skipped += LEASE
    assert process.regain()

    assert recovery.scan() == 0
    for _ in range(3):
        process.skipped += RENEW - 0.3
        assert process.lease.renew()
        assert recovery.scan() == 0
    process.skipped += 1

    assert recovery.scan() == 1


def test_a_renewal_that_took_long_is_a_gap(redis: Any, proxy: Proxy, start: Start, silent: Dead) -> None:
    push(redis, *jobs(1))
    silent.holding(1)
    process = start(proxy.url)
    recovery = process.recovery()
    assert process.lease.renew()
    held = proxy.hold_reply(b"EXPIRE")
    with ThreadPoolExecutor(1) as pool:
        renewal = pool.submit(process.lease.renew)
        held.wait()
        process.skipped += LEASE - MARGIN - 1  # Redis stood still; the others' renewals wait as ours did
        held.go_on.set()
        assert renewal.result()

    assert recovery.scan() == 0


def test_where_redis_stood_still_between_two_questions_nobody_is_judged(
    redis: Any, proxy: Proxy, start: Start, silent: Dead
) -> None:
    push(redis, *jobs(1))
    silent.holding(1)
    recovery = (process := start(proxy.url)).recovery()
    held = proxy.hold_request(b"kiq:index")
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(recovery.scan)
        held.wait()
        process.skipped += PROMPT + 1
        held.go_on.set()
        assert looking.result() == 0
    assert not queued(redis)


def test_one_process_of_the_fleet_looks_at_a_time(redis: Any, start: Start, silent: Dead) -> None:
    push(redis, *jobs(1))
    silent.holding(1)
    first, second = start(), start()
    redis.set(KEYS.recovering, first.identity, px=LOCK)
    assert second.recovery().scan() == 0
    redis.delete(KEYS.recovering)
    assert second.recovery().scan() == 1
    assert 0 < redis.pttl(KEYS.recovering) <= LOCK


def test_the_dead_of_the_same_host_are_seen_at_once(redis: Any, start: Start) -> None:
    program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    neighbour, watcher = start(), start()
    recovery = watcher.recovery()
    watcher.lease._steady_since = watcher.clock.boottime()  # no matter how long we are here
    ours = here()
    neighbour.sit(Whereabouts(ours.boot, ours.namespace, program.pid, started(program.pid)))
    push(redis, *jobs(2))
    neighbour.fetch.pace.want = 2
    assert neighbour.take() is not None

    assert recovery.scan() == 0
    program.kill()
    eventually(lambda: recovery.scan() == 2)  # while its parent has not even asked what became of it
    program.wait()
    assert program.stdin is not None
    program.stdin.close()

    assert not redis.exists(KEYS.lease(neighbour.identity))
    assert redis.llen("queue:default") == 2


def started(pid: int) -> str:
    from kiqdoctor.runtime.fetching.seats import _stat

    return _stat(pid)[1]


@pytest.mark.parametrize("what", ["boot", "namespace"])
def test_the_pid_of_another_host_says_nothing(redis: Any, start: Start, what: str) -> None:
    stranger, watcher = start(), start()
    stranger.sit(replace(here(), pid=2**22 + 1, started="1", **{what: "another"}))
    push(redis, *jobs(1))
    stranger.take_all()
    assert watcher.recovery().scan() == 0


def test_a_pid_that_was_given_to_another_program_is_not_the_neighbour(redis: Any, start: Start) -> None:
    neighbour, watcher = start(), start()
    neighbour.sit(replace(here(), started="long before"))
    push(redis, *jobs(1))
    neighbour.take_all()
    assert watcher.recovery().scan() == 1


# -- races ---------------------------------------------------------------------------------------------------------


def test_two_that_look_at_the_same_time_take_each_job_back_once(redis: Any, start: Start, dead: Dead) -> None:
    pushed = jobs(60)
    push(redis, *pushed)
    process = dead.holding(60)
    heard: list[int] = []
    settings = Settings("redis://unused", on_recovered=(lambda identity, found: heard.append(len(found)),))
    recoveries = [start().recovery(settings) for _ in range(3)]
    index = {process.identity: process.lease.account}

    with ThreadPoolExecutor(3) as pool:
        account = index[process.identity]
        counts = list(pool.map(lambda one: one._take_back(process.identity, account, counts=True), recoveries))

    assert sum(counts) == 60
    assert sum(heard) == 60
    assert redis.get(KEYS.recovered) == b"60"
    assert deaths(queued(redis)) == {f"default-{number}": 1 for number in range(60)}
    assert redis.llen("queue:default") == 60


def test_an_owner_that_comes_back_keeps_what_was_not_taken_yet(redis: Any, proxy: Proxy, start: Start) -> None:
    owner, other = start(), start(proxy.url)
    push(redis, *jobs(5))
    owner.fetch.pace.want = 5
    running = owner.take()
    assert running is not None
    redis.delete(KEYS.lease(owner.identity))
    recovery = other.recovery()
    faults = [proxy.hold_request(LEAVE) for _ in range(3)]
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(recovery.scan)
        for fault in faults[:2]:
            fault.wait()
            fault.go_on.set()
        faults[2].wait()
        assert owner.regain()
        faults[2].go_on.set()
        assert looking.result() == 2

    assert redis.hexists(KEYS.index, owner.identity)
    gone = set(deaths(queued(redis)))
    assert len(gone) == 2
    kept = {json.loads(work.payload)["jid"] for work in owner.fetch.running()}
    redis.delete("queue:default")
    found = {json.loads(work.payload)["jid"] for work in owner.take_all()}
    assert found | kept | gone == {f"default-{number}" for number in range(5)}
    assert not found & gone


def test_an_owner_that_comes_back_too_late_cannot_undo_what_others_do(redis: Any, start: Start) -> None:
    owner, other = start(), start()
    push(redis, *jobs(1))
    running = owner.take()
    assert running is not None
    redis.delete(KEYS.lease(owner.identity))
    assert other.recovery().scan() == 1
    again = other.take()
    assert again is not None

    assert owner.regain()
    owner.fetch.done(running)
    eventually(lambda: ticked(owner) and owner.fetch.unfound == 1)

    assert other.held(redis) == Counter([again.payload])


# -- the account ---------------------------------------------------------------------------------------------------


def test_an_account_is_closed_when_it_is_empty_and_nothing_can_come_any_more(
    redis: Any, start: Start, dead: Dead
) -> None:
    survivor = start()
    recovery = survivor.recovery()
    push(redis, *jobs(1))
    process = dead.holding(1)
    redis.hset(KEYS.exits(process.identity), "0", 1)

    assert recovery.scan() == 1
    redis.delete(KEYS.recovering)
    assert recovery.scan() == 0
    assert redis.hexists(KEYS.index, process.identity)
    late = payload("Job", "late")
    redis.lpush(KEYS.private(process.identity, "w", "default"), late)  # as a wait that outlived it
    redis.delete(KEYS.recovering)
    assert recovery.scan() == 1
    for _ in range(2):
        survivor.skipped += LATE
        redis.delete(KEYS.recovering)
        assert recovery.scan() == 0

    assert not redis.hexists(KEYS.index, process.identity)
    assert redis.keys(f"kiq:*{process.identity}*") == []
    assert "late" in deaths(queued(redis))


def test_a_place_that_a_dead_process_kept_for_its_next_job_holds_up_nobody(
    redis: Any, start: Start, dead: Dead
) -> None:
    """No job that is taken back tells of it; the process's record, which lasts a minute, says that somebody has it."""
    survivor = start()
    recovery = survivor.recovery()
    push(redis, *jobs(1))
    process = dead.holding(1)
    redis.hset(KEYS.process(process.identity), "busy", 0)
    redis.zadd(KEYS.slots("Few"), {slot(process.identity, 7): 1})

    for _ in range(3):
        recovery.scan()
        survivor.skipped += LATE
        redis.delete(KEYS.recovering)

    @kiqdoctor.job(name="Few", limit=1)
    def few() -> None: ...

    try:
        assert Limits(redis, KEYS).enter(few, survivor.identity) == 0
    finally:
        del REGISTRY["Few"]


def test_an_account_that_cannot_be_read_is_left_alone(redis: Any, start: Start) -> None:
    survivor = start()
    recovery = survivor.recovery()
    redis.hset(KEYS.index, "from:the:future", "\x00 what")
    redis.lpush(KEYS.private("from:the:future", "0", "default"), *jobs(1))
    for _ in range(3):
        redis.delete(KEYS.recovering)
        assert recovery.scan() == 0
        survivor.skipped += LATE
        survivor.lease._steady_since = survivor.clock.boottime() - LEASE - 1
        assert survivor.lease.renew()
    assert redis.hexists(KEYS.index, "from:the:future")


# -- errors of the server ------------------------------------------------------------------------------------------


def test_a_queue_of_the_wrong_type_holds_up_no_other(redis: Any, start: Start) -> None:
    owner, survivor = start(queues=(("broken", 0), ("default", 0))), start()
    push(redis, *jobs(2, "broken"), queue="broken")
    push(redis, *jobs(2))
    assert len(owner.take_all()) == 4
    owner.sit(replace(here(), started="long before"))
    owner.die()
    redis.delete(KEYS.lease(owner.identity), "queue:broken")
    redis.set("queue:broken", "no list")
    recovery = survivor.recovery()

    assert recovery.scan() == 2
    assert redis.llen("queue:default") == 2
    assert sum(owner.held(redis).values()) == 2
    redis.delete("queue:broken", KEYS.recovering)

    assert recovery.scan() == 2
    assert deaths(queued(redis, "broken")) == {"broken-0": 1, "broken-1": 1}


def test_with_memory_full_the_dead_are_found_all_the_same(redis: Any, start: Start, dead: Dead) -> None:
    settings, heard = told(Settings("redis://unused"))
    push(redis, *jobs(3))
    process = dead.holding(3)
    recovery = start().recovery(settings)
    redis.config_set("maxmemory", 1)
    try:
        assert recovery.scan() == 3
    finally:
        redis.config_set("maxmemory", 0)
    assert redis.llen("queue:default") == 3
    assert [(identity, len(found)) for identity, found in heard] == [(process.identity, 3)]


def test_a_recovery_that_was_cut_off_goes_on_later(redis: Any, proxy: Proxy, start: Start, dead: Dead) -> None:
    push(redis, *jobs(4))
    dead.holding(4)
    recovery = start(proxy.url).recovery()
    for match in (b"HGETALL", KEYS.recovering.encode(), b"EXISTS", b"LRANGE", LEAVE, b"INCRBY"):
        proxy.lose(match)
        with suppress(redis_py.ConnectionError, redis_py.TimeoutError):
            recovery.scan()
        redis.delete(KEYS.recovering)
    recovery.scan()

    assert deaths(queued(redis)) == {f"default-{number}": 1 for number in range(4)}
    assert redis.llen("queue:default") == 4
