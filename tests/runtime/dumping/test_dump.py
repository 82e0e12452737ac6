"""The dump tells jobs, stacks and locks, from real threads; it runs nobody's code, stays small and is clean."""

import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest
from servers import eventually

from kiqdoctor.runtime import log
from kiqdoctor.runtime.dumping import dump
from kiqdoctor.runtime.dumping.dump import Dump, JobNow, PoolUse, ThreadDump

A, B, C = threading.Lock(), threading.Lock(), threading.Lock()
MANY: defaultdict[str, Any] = defaultdict(threading.Lock)


class Account:
    def __init__(self) -> None:
        self.lock = threading.Lock()


class Slotted:
    __slots__ = ("lock",)

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Watched:
    """Anybody who asks it for anything is noted."""

    asked: list[str] = []  # noqa: RUF012

    @property
    def lock(self) -> Any:
        self.asked.append("lock")
        return A

    def __getattr__(self, name: str) -> Any:
        self.asked.append(name)
        return C

    def __eq__(self, other: object) -> bool:
        self.asked.append("eq")
        return True

    def __hash__(self) -> int:
        return hash("key")

    def __repr__(self) -> str:
        self.asked.append("repr")
        return "watched"


def seen(jobs: dict[int, JobNow] | None = None) -> Dump:
    return dump.here(lambda: jobs or {}, tuple, reason="test")


def of(found: Dump, thread: threading.Thread) -> ThreadDump:
    [one] = [one for one in found.threads if one.tid == log.thread_id(thread.ident)]
    return one


def stands_at(thread: threading.Thread, source: str) -> None:
    """Wait until it does; what it said before that says only that it is on its way."""
    eventually(lambda: source in [frame.source for frame in of(seen(), thread).frames], f"a thread at {source}")


@contextmanager
def running(*bodies: Callable[[], None], release: Callable[[], None]) -> Iterator[list[threading.Thread]]:
    """Threads that hang until ``release``."""
    threads = [threading.Thread(target=body, daemon=True) for body in bodies]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        release()
        for thread in threads:
            thread.join(60)


def unlocked(*locks: Any) -> Callable[[], None]:
    def release() -> None:
        for lock in locks:
            if lock.locked():
                lock.release()

    return release


def quietly(body: Callable[[], None]) -> Callable[[], None]:
    """A lock that the test gave back is gone when its holder gives it back too."""

    def run() -> None:
        with suppress(RuntimeError):
            body()

    return run


def waits_of(threads: list[threading.Thread], names: list[str]) -> Dump:
    def look() -> Dump | None:
        found = seen()
        wanted = [of(found, thread).waits for thread in threads]
        return found if [one.lock if one else "" for one in wanted] == names else None

    result: Dump = eventually(look, f"threads that wait for {names}")
    return result


def ring(found: Dump, threads: list[threading.Thread]) -> bool:
    return [set(one) for one in found.deadlocks] == [{log.thread_id(thread.ident) for thread in threads}]


Crossed = tuple[Callable[[], None], Callable[[], None], tuple[Any, Any], list[str]]
"""Two bodies that take two locks in opposite order, the locks, and the names of what each waits for."""


def module_locks() -> Crossed:
    meet = threading.Barrier(2)

    def first() -> None:
        with A:
            meet.wait()
            with B:
                pass

    def second() -> None:
        with B:
            meet.wait()
            with A:
                pass

    return first, second, (A, B), ["B", "A"]


def _of_objects(one: Any, two: Any) -> Crossed:
    meet = threading.Barrier(2)

    def transfer(source: Any, target: Any) -> None:
        with source.lock:
            meet.wait()
            with target.lock:
                pass

    return lambda: transfer(one, two), lambda: transfer(two, one), (one.lock, two.lock), ["target.lock"] * 2


def instances() -> Crossed:
    return _of_objects(Account(), Account())


def slots() -> Crossed:
    return _of_objects(Slotted(), Slotted())


def by_hand() -> Crossed:
    meet, one, two = threading.Barrier(2), threading.Lock(), threading.Lock()

    def body(first: Any, second: Any) -> None:
        first.acquire()
        try:
            meet.wait()
            second.acquire()
            second.release()
        finally:
            first.release()

    return lambda: body(one, two), lambda: body(two, one), (one, two), ["second"] * 2


def items() -> Crossed:
    meet = threading.Barrier(2)

    def body(first: str, second: str) -> None:
        with MANY[first]:
            meet.wait()
            with MANY[second]:
                pass

    return lambda: body("a", "b"), lambda: body("b", "a"), (MANY["a"], MANY["b"]), ["MANY[second]"] * 2


def several_in_one_with() -> Crossed:
    meet, locks = threading.Barrier(2), [threading.Lock(), threading.Lock()]

    def body(first: int, second: int) -> None:
        with locks[first], _after(meet), locks[second]:
            pass

    return lambda: body(0, 1), lambda: body(1, 0), (locks[0], locks[1]), ["locks[second]"] * 2


def closures() -> Crossed:
    meet, mine, yours = threading.Barrier(2), threading.Lock(), threading.Lock()

    def helper(inner: Any) -> None:
        with inner:
            pass

    def first() -> None:
        with mine:
            meet.wait()
            helper(yours)

    def second() -> None:
        with yours:
            meet.wait()
            helper(mine)

    return first, second, (mine, yours), ["inner"] * 2


@contextmanager
def _after(barrier: threading.Barrier) -> Iterator[None]:
    barrier.wait()
    yield


@pytest.mark.parametrize("crossed", [module_locks, instances, slots, by_hand, items, several_in_one_with, closures])
def test_two_threads_that_wait_for_one_another_are_a_probable_deadlock(crossed: Callable[[], Crossed]) -> None:
    first, second, locks, names = crossed()
    with running(quietly(first), quietly(second), release=unlocked(*locks)) as threads:
        found = waits_of(threads, names)

        assert ring(found, threads)
        for thread, other in zip(threads, reversed(threads), strict=True):
            mine = of(found, thread)
            assert mine.waits is not None
            assert mine.waits.holder == log.thread_id(other.ident)
            assert [(held.kind, held.sure) for held in mine.holds] == [("Lock", False)]
        assert any(line.startswith("probable deadlock: TID-") for line in dump.lines(found))


def test_an_rlock_says_itself_who_owns_it() -> None:
    one, two = threading.RLock(), threading.RLock()
    meet, done = threading.Barrier(2), threading.Event()

    def body(first: Any, second: Any) -> None:
        with first:
            meet.wait()
            while not done.is_set():
                if second.acquire(timeout=0.5):
                    second.release()

    with running(lambda: body(one, two), lambda: body(two, one), release=done.set) as threads:
        found = waits_of(threads, ["second", "second"])

        assert ring(found, threads)
        assert all(of(found, thread).holds[0].sure for thread in threads)
        assert " held by TID-" in "".join(dump.lines(found))


def test_a_thread_that_takes_its_own_lock_again_waits_for_itself() -> None:
    lock = threading.Lock()

    def helper() -> None:
        with lock:
            pass

    def body() -> None:
        with lock: helper()  # fmt: skip  # noqa: E701

    with running(quietly(body), release=unlocked(lock)) as threads:
        found = waits_of(threads, ["lock"])

        assert ring(found, threads)


def test_locks_of_two_instances_are_two_locks() -> None:
    one, two, three = Account(), Account(), Account()

    def transfer(source: Any, target: Any) -> None:
        with source.lock, target.lock:
            pass

    two.lock.acquire()
    three.lock.acquire()
    bodies = (lambda: transfer(one, two), lambda: transfer(Account(), three))
    with running(*map(quietly, bodies), release=unlocked(two.lock, three.lock)) as threads:
        found = waits_of(threads, ["target.lock", "target.lock"])

        assert not found.deadlocks
        waited = [of(found, thread).waits for thread in threads]
        assert {one.holder for one in waited if one is not None} == {log.thread_id()}
        assert len({one.address for one in waited if one is not None}) == 2


def test_a_lock_whose_taker_has_ended_has_no_holder() -> None:
    lock = threading.Lock()
    gone = threading.Thread(target=lock.acquire)
    gone.start()
    gone.join()

    def body() -> None:
        with lock:
            pass

    with running(body, release=unlocked(lock)) as threads:
        found = waits_of(threads, ["lock"])

        assert "waits for lock (Lock 0x" in "\n".join(dump.lines(found))
        assert "no holder found" in "\n".join(dump.lines(found))


def test_a_lock_that_a_condition_gave_back_is_not_held() -> None:
    condition, ready = threading.Condition(threading.Lock()), threading.Event()

    def body() -> None:
        with condition:
            ready.set()
            condition.wait()

    def release() -> None:
        with condition:
            condition.notify_all()

    def asleep(thread: threading.Thread) -> bool:
        return any(frame.function == "Condition.wait" for frame in of(seen(), thread).frames)

    with running(body, release=release) as [thread]:
        ready.wait()
        eventually(lambda: asleep(thread))
        condition.acquire()
        try:
            found = of(seen(), thread)
        finally:
            condition.release()

        assert found.holds == ()
        assert found.waits is None


def test_a_thread_that_wants_a_condition_s_lock_back_waits_for_it() -> None:
    for lock in (threading.Lock(), threading.RLock()):
        condition, ready = threading.Condition(lock), threading.Event()

        def body(condition: threading.Condition = condition, ready: threading.Event = ready) -> None:
            with condition:
                ready.set()
                condition.wait()

        condition.acquire()
        with running(body, release=condition.release) as [thread]:
            condition.release()
            ready.wait()
            condition.acquire()
            condition.notify_all()
            eventually(lambda thread=thread: of(seen(), thread).waits)

            assert of(seen(), thread).holds == ()


def test_a_released_lock_is_not_held_any_more() -> None:
    lock, stop, reached = threading.Lock(), threading.Event(), threading.Event()

    def body() -> None:
        lock.acquire()
        lock.release()
        reached.set()
        stop.wait()

    with running(body, release=stop.set) as [thread]:
        reached.wait()
        with lock:
            assert of(seen(), thread).holds == ()


def test_of_two_threads_past_the_same_acquire_none_is_called_the_holder() -> None:
    lock, stop, meet = threading.Lock(), threading.Event(), threading.Barrier(3)

    def body() -> None:
        lock.acquire(blocking=False)
        meet.wait()
        stop.wait()

    with running(body, body, release=stop.set) as threads:
        meet.wait()
        found = seen()

        assert lock.locked()
        assert [of(found, thread).holds for thread in threads] == [(), ()]


def test_no_code_of_the_user_s_is_run() -> None:
    watched, stop, reached = Watched(), threading.Event(), threading.Event()
    table: dict[Any, Any] = {watched: B}

    def body() -> None:
        with watched.lock, table["key"], watched.made_up:
            reached.set()
            stop.wait()

    with running(body, release=stop.set) as [thread]:
        reached.wait()
        assert watched.asked == ["lock", "eq", "made_up"]
        stands_at(thread, "stop.wait()")

        assert watched.asked == ["lock", "eq", "made_up"]


def test_jobs_come_first_with_class_jid_queue_and_time() -> None:
    stop = threading.Event()

    def body() -> None:
        stop.wait()

    with running(body, release=stop.set) as [thread]:
        stands_at(thread, "stop.wait()")
        found = seen({thread.ident or 0: JobNow("app.Send", "ab12", "mail", 12.3456)})

        assert found.threads[0].job == JobNow("app.Send", "ab12", "mail", 12.346)
        [line] = [line for line in dump.lines(found) if "jid=ab12" in line]
        assert f"Thread TID-{log.thread_id(thread.ident)} {thread.name} class=app.Send" in line
        assert "queue=mail running=12.3s" in line
        assert "    stop.wait()" in line


def test_pools_are_told() -> None:
    found = dump.here(dict, lambda: [PoolUse("redis", 5, 12)])

    assert "pool redis: 5 of 12 connections in use" in dump.lines(found)


def test_hostile_words_are_neutralised() -> None:
    stop, reached = threading.Event(), threading.Event()

    def body() -> None:
        reached.set()
        stop.wait()

    hostile = "\x1b]0;x\x07\u202e\n" + "y" * 10_000
    with running(body, release=stop.set) as [thread]:
        thread.name = hostile
        reached.wait()
        found = dump.here(lambda: {thread.ident or 0: JobNow(hostile, hostile, hostile, 1.0)},
                          lambda: [PoolUse(hostile, 1, 1)], identity=hostile, reason=hostile)  # fmt: skip

    shown = "\n".join(dump.lines(found)) + dump.encode(found).decode()
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert max(map(len, dump.lines(found))) < 10_000


def test_a_dump_comes_back_as_it_went() -> None:
    found = dump.here(dict, lambda: [PoolUse("redis", 1, 2)], identity="host:1:ab")

    assert dump.read(dump.encode(found)) == found


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"schema": "x"}', b"\xff", b"1" * 1_000_001])
def test_what_is_no_dump_is_refused_in_one_line(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        dump.read(raw)


def test_a_dump_of_another_s_making_is_cleaned_when_it_is_read() -> None:
    found = replace(dump.here(dict, tuple), identity="\x1b[2J", reason="\u202e")

    shown = dump.read(dump.encode(found))

    assert "\x1b" not in shown.identity
    assert "\u202e" not in shown.reason


def test_many_threads_and_deep_stacks_stay_within_the_bounds() -> None:
    stop, meet = threading.Event(), threading.Barrier(241, timeout=30)

    def deep(left: int) -> None:
        if left:
            deep(left - 1)
        else:
            meet.wait()
            stop.wait()

    with running(*[lambda: deep(150)] * 240, release=stop.set) as threads:
        meet.wait()
        found = seen({threads[-1].ident or 0: JobNow("app.Send", "ab12", "mail", 1.0)})

        assert len(found.threads) == dump.THREADS
        assert found.more_threads >= 40
        assert found.threads[0].tid == log.thread_id(threads[-1].ident)
        assert len(found.threads[0].frames) == dump.FRAMES
        assert found.threads[0].more_frames > 50
        raw = dump.encode(found)
        assert len(raw) <= dump.SIZE
        assert dump.read(raw).threads[0].job is not None
        assert sum(map(len, dump.lines(found))) <= dump.SIZE + dump.THREADS * 1_000
        assert max(map(len, dump.lines(found))) < 10_000
