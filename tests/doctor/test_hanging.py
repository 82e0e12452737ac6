"""What is wrong with threads, told from looks at them: each fault beside a twin that only looks like it."""

from dataclasses import replace
from typing import Any

import pytest

from kiqdoctor.doctor.facts.threads import Call, Frame, Pool, Thread, Threads
from kiqdoctor.doctor.hanging import Kind, computing, diagnosed, held_up, in_doubt, unexplained

RUN = Frame("Thread.run", "/usr/lib/python3.11/threading.py", 982)
FUTEX, GIL = Call("futex", endless=True), Call("futex", gil=True)


def thread(name: str, line: int = 7, *, file: str = "/srv/app/jobs.py", cpu_s: float = 1.0, **known: object) -> Thread:
    frames = (Frame(f"work_{name[0]}", file, line), RUN)
    return replace(Thread(name, name, frames, state="sleeping", cpu_s=cpu_s), **known)  # type: ignore[arg-type]


def looks(*threads: Thread, count: int = 3, **known: object) -> list[Threads]:
    """The same threads again and again, half a second apart."""
    return [replace(Threads("1", 100 + 0.5 * at, "x", threads), **known) for at in range(count)]  # type: ignore[arg-type]


def kinds(seen: list[Threads]) -> list[str]:
    return [one.kind.value for one in diagnosed(seen)]


def test_nothing_seen_is_nothing_wrong() -> None:
    assert diagnosed([]) == ()
    assert kinds(looks(thread("a", call=Call("clock_nanosleep")))) == []


@pytest.mark.parametrize("state", ["stopped", "tracing stop", "frozen"])
def test_a_stopped_process(state: str) -> None:
    [found] = diagnosed(looks(thread("a", call=FUTEX), state=state))

    assert (found.kind, found.threads, found.measured) == (Kind.STOPPED, ("a",), True)


def test_one_that_goes_on_meanwhile_is_not_stopped() -> None:
    first, *others = looks(thread("a"), state="stopped")

    assert kinds([first, *(replace(one, state="sleeping") for one in others)]) == []


def test_a_ring_of_locks() -> None:
    a, b = thread("a", waits="B at x:1, held by b"), thread("b", waits="A at x:2, held by a")

    [found] = diagnosed(looks(a, b, deadlocks=(("a", "b"),)))

    assert (found.kind, found.threads, found.measured) == (Kind.DEADLOCK, ("a", "b"), False)
    assert found.title == "a and b wait for each other's locks"
    assert diagnosed(looks(a, b, deadlocks=(("a", "b"),), sure=True))[0].measured


def test_a_ring_that_was_gone_in_another_look_is_none() -> None:
    a = thread("a", waits="B at x:1, held by b")
    first, *_, last = looks(a, deadlocks=(("a", "b"),))

    assert kinds([replace(first, deadlocks=()), last]) == []


def gil(owner: Thread, waiting: Thread, used: float, gained: float = 0.0) -> list[Threads]:
    """The owner uses so many CPU seconds a look, the other gains so many."""
    return [
        Threads("1", 100 + 0.5 * at, "x", (
            replace(owner, cpu_s=at * used, owns_gil=True),
            replace(waiting, cpu_s=at * gained, call=GIL, owns_gil=False),
        ))
        for at in range(3)
    ]  # fmt: skip


def test_one_thread_has_the_gil_and_another_starves() -> None:
    [found] = diagnosed(gil(thread("job"), thread("beat"), used=0.49))

    assert (found.kind, found.threads, found.measured) == (Kind.GIL_HOG, ("job",), True)
    assert "waiting for it all the while: beat" in found.evidence


def test_threads_that_share_the_gil_are_no_hogs() -> None:
    assert kinds(gil(thread("job"), thread("other"), used=0.25, gained=0.24)) == []


@pytest.mark.parametrize(("used", "told"), [(0.01, ""), (0.03, "gil-hog")], ids=["no core", "a core now and then"])
def test_on_a_busy_host_a_thread_is_a_hog_once_it_has_run(used: float, told: str) -> None:
    """Three slices in a second are enough to see that nobody else gets any."""
    seen = gil(thread("job", state="running", yields=7), thread("beat"), used=used)

    assert kinds(seen) == [told] * bool(told)
    assert held_up(seen) == ("" if told else "job")


def test_on_a_busy_host_threads_that_take_turns_are_no_hogs() -> None:
    """Whoever had the GIL in each look gave it up as often as it was asked for it, in the little time that it had."""
    first, *_, last = gil(thread("job", state="running", yields=7), thread("other"), used=0.05)
    turned = [replace(one, yields=10) if one.id == "job" else one for one in last.threads]

    assert kinds([first, replace(last, threads=tuple(turned))]) == []


@pytest.mark.parametrize(("asked", "told"), [(9, "job"), (10, "")])
def test_on_a_busy_host_who_waits_must_have_asked_for_it(asked: int, told: str) -> None:
    first, middle, last = gil(thread("job", state="running", yields=7), thread("other", yields=0), used=0.2)
    turned = [replace(one, yields=asked) if one.id == "other" else one for one in last.threads]
    seen = [first, middle, replace(last, threads=tuple(turned))]

    assert held_up(seen) == told
    assert kinds(seen) == ([] if told else ["gil-hog"])


def test_who_waits_for_it_at_some_moment_does_not_hold_it_asleep() -> None:
    held = thread("held", owns_gil=True, call=Call("clock_nanosleep"))
    first, *others = looks(held, thread("beat", call=GIL))
    waits = replace(first, threads=(replace(held, call=GIL), *first.threads[1:]))

    assert kinds([first, *others]) == ["gil-hog"]
    assert kinds([waits, *others]) == []


def test_the_gil_is_held_asleep() -> None:
    held = thread("held", owns_gil=True, call=Call("clock_nanosleep"), libraries=("/app/_ext.so",))

    [found] = diagnosed(looks(held, thread("idle", call=FUTEX, file="/usr/lib/python3.11/queue.py")))

    assert found.kind is Kind.GIL_HOG
    assert "in the native library /app/_ext.so" in found.evidence


def test_an_import_that_nobody_finishes() -> None:
    lock = Frame("_ModuleLock.acquire", "<frozen importlib._bootstrap>", 130)
    load = Frame("_load_unlocked", "<frozen importlib._bootstrap>", 690)
    waits = [replace(thread(name), frames=(lock, Frame("work", "/srv/app/jobs.py", 9)), call=FUTEX) for name in "ab"]
    loads = replace(thread("c"), frames=(Frame("<module>", "/srv/app/slow.py", 1), load))

    [found] = diagnosed(looks(*waits, loads))

    assert (found.kind, found.threads) == (Kind.IMPORT_LOCK, ("a", "b"))
    assert found.title.endswith("which c has not finished")
    assert kinds(looks(loads)) == []


def pooled(name: str) -> Thread:
    inner = Frame("Condition.wait", "/usr/lib/python3.11/threading.py", 327)
    pool = Frame("BlockingConnectionPool.get_connection", "/venv/lib/python3.11/site-packages/redis/connection.py", 9)
    return replace(thread(name), frames=(inner, pool, Frame("work", "/srv/app/jobs.py", 3)), call=FUTEX)


def test_a_pool_that_is_empty() -> None:
    [found] = diagnosed(looks(*(pooled(name) for name in "abc"), pools=(Pool("main", 4, 4),)))

    assert (found.kind, found.threads, found.measured) == (Kind.POOL_EXHAUSTED, ("a", "b", "c"), True)
    assert "4 of 4 in use" in found.title


def test_a_thread_that_got_its_connection_meanwhile() -> None:
    first, *_, last = looks(pooled("a"))

    assert kinds([first, replace(last, threads=(thread("a", line=9),))]) == []


def test_most_of_those_that_work_stand_at_one_line() -> None:
    piled = [thread(name, call=FUTEX, waits="L at x:1, no holder found") for name in ("w1", "w2", "w3")]
    idle = [thread(f"idle{number}", file="/usr/lib/python3.11/queue.py", call=FUTEX) for number in range(9)]

    [found] = diagnosed(looks(*piled, thread("other", line=3), *idle))

    assert (found.kind, found.threads) == (Kind.PILE_UP, ("w1", "w2", "w3"))
    assert found.title == "3 of 4 working threads wait at /srv/app/jobs.py:7 in work_w"


def test_short_jobs_of_one_class_are_no_pile() -> None:
    first = [thread(name, line=7, call=FUTEX) for name in ("w1", "w2", "w3")]
    later = [thread(name, line=8, call=FUTEX) for name in ("w1", "w2", "w3")]

    assert kinds([Threads("1", 100, "x", tuple(first)), Threads("1", 101, "x", tuple(later))]) == []


def test_idle_threads_of_a_library_are_no_pile() -> None:
    idle = [thread(f"i{number}", file="/usr/lib/python3.11/queue.py", call=FUTEX) for number in range(9)]

    assert kinds(looks(*idle)) == []


def test_a_read_without_an_end() -> None:
    [found] = diagnosed(looks(thread("a", call=Call("recvfrom", endless=True, peer="10.0.0.5:443"))))

    assert (found.kind, found.measured) == (Kind.SOCKET_WAIT, True)
    assert found.title == "a waits for 10.0.0.5:443 without a time-out"


def test_a_read_with_a_time_out_and_a_blocking_pop_are_as_they_should_be() -> None:
    timed = thread("a", call=Call("poll", peer="10.0.0.5:443"))
    frames = (Frame("recv", "/srv/app/jobs.py", 3), Frame("Redis.brpop", "/srv/app/r.py", 4))
    rests = thread("b", call=Call("recvfrom", endless=True, peer="10.0.0.5:6379"), frames=frames)

    assert kinds(looks(timed, rests)) == []


def test_native_code_that_sleeps_and_a_thread_in_the_kernel() -> None:
    native = thread("n", call=Call("clock_nanosleep"), libraries=("/lib/libc.so.6", "/x/site-packages/z/_z.so"))
    kernel = thread("k", file="/usr/lib/python3.11/shutil.py", state="disk sleep")

    found = diagnosed(looks(native, kernel))

    assert [one.kind for one in found] == [Kind.NATIVE_BLOCK] * 2
    assert found[0].title == "n is blocked in _z.so"


def test_python_s_own_sleep_is_no_native_block() -> None:
    slept = ("/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/libpython3.11.so.1.0", "/usr/bin/python3.11")

    assert kinds(looks(thread("s", call=Call("clock_nanosleep"), libraries=slept))) == []


def test_one_look_tells_only_what_cannot_pass() -> None:
    piled = [thread(name, call=FUTEX) for name in ("w1", "w2", "w3")]

    assert kinds(looks(*piled, count=1)) == []
    assert kinds(looks(*piled, count=1, deadlocks=(("w1", "w2"),))) == ["deadlock"]


def test_a_thread_that_computes_at_one_line_is_told_and_not_accused() -> None:
    def seen(**known: object) -> list[Threads]:
        return [Threads("1", 100 + at, "x", (replace(thread("a", cpu_s=float(at)), **known),)) for at in range(3)]  # type: ignore[arg-type]

    spinning = seen(state="running")
    elsewhere = [spinning[0], *(replace(one, threads=(thread("a", 9, state="running"),)) for one in spinning[1:])]

    assert computing(spinning) == ("a: /srv/app/jobs.py:7 in work_a stood there in 3 looks and used 100% of a core",)
    assert kinds(spinning) == []
    assert computing(
        [replace(one, threads=(replace(one.threads[0], cpu_s=one.at / 100, yields=4),)) for one in spinning]
    )
    assert computing(elsewhere) == computing(seen(state="sleeping")) == computing(spinning[:1]) == ()


SHARED = Frame("SemLock.__enter__", "/usr/lib/python3.13/multiprocessing/synchronize.py", 95)
LOOP = Frame("BaseEventLoop._run_once", "/usr/lib/python3.13/asyncio/base_events.py", 1987)


@pytest.mark.parametrize(
    ("call", "beside", "told"),
    [
        (Call("flock"), {}, True),
        (Call("openat"), {}, True),  # of a FIFO, whose other end nobody opens
        (FUTEX, {"rests": True, "first": SHARED}, True),  # a lock of several processes
        (Call("clock_nanosleep"), {"last": LOOP}, True),
        (Call("clock_nanosleep"), {"jid": "a" * 24}, True),
        (Call("wait4"), {"jid": "a" * 24}, True),
        (Call("clock_nanosleep"), {}, False),
        (FUTEX, {"rests": True}, False),
        (Call("epoll_wait"), {"last": LOOP}, False),
        (GIL, {}, False),
        (Call("flock"), {"cpu_s": None, "moves": True}, False),
    ],
)
def test_what_gets_no_further_is_told_where_no_cause_is(call: Call, beside: dict[str, Any], told: bool) -> None:
    first, last, moves = beside.pop("first", None), beside.pop("last", None), beside.pop("moves", False)
    one = thread("a", call=call, **beside)
    one = replace(one, frames=(*filter(None, (first,)), *one.frames, *filter(None, (last,))))
    seen = looks(one)
    if moves:
        seen[0] = replace(seen[0], threads=(replace(one, frames=thread("a", 9).frames),))

    assert kinds(seen) == []
    assert unexplained(seen, ()) == ((f"{_words(one)} ({call.name})",) if told else ())
    assert unexplained(seen[:1], ()) == ()


def _words(one: Thread) -> str:
    job = f" ( {one.jid})" if one.jid else ""
    return f"a{job}: /srv/app/jobs.py:7 in work_a"


def test_what_a_diagnosis_names_is_explained() -> None:
    one = thread("a", call=Call("recvfrom", endless=True, peer="10.0.0.5:5432"))
    two = thread("b", call=Call("flock"))
    seen = looks(one, two)

    assert unexplained(seen, diagnosed(seen)) == ("b: /srv/app/jobs.py:7 in work_b (flock)",)


@pytest.mark.parametrize(
    ("file", "function", "told"),
    [("/usr/lib/python3.13/multiprocessing/queues.py", "Queue.get", []),
     ("/usr/lib/python3.13/multiprocessing/queues.py", "Queue.put", ["pile-up"])],
)  # fmt: skip
def test_who_waits_to_take_from_a_shared_queue_has_nothing_to_do(file: str, function: str, told: list[str]) -> None:
    lock = Frame("SemLock.__enter__", "/usr/lib/python3.13/multiprocessing/synchronize.py", 95)
    frames = (lock, Frame(function, file, 99), Frame("work", "/srv/app/jobs.py", 7), RUN)
    waiting = [replace(thread(f"w{number}", call=FUTEX, waits="self._semlock"), frames=frames) for number in range(4)]

    assert kinds(looks(*waiting)) == told


def test_a_signal_that_is_waited_for_is_no_pile() -> None:
    waiting = [thread(f"w{number}", call=FUTEX, waits="turn at x:1, no holder found") for number in range(4)]
    resting = [replace(one, rests=True, frames=(RUN, *one.frames)) for one in waiting]

    assert kinds(looks(*[replace(one, frames=waiting[0].frames) for one in waiting])) == ["pile-up"]
    assert kinds(looks(*[replace(one, frames=resting[0].frames) for one in resting])) == []


GUNICORN = "/venv/lib/python3.11/site-packages/gunicorn/workers/sync.py"
OWN, ENDLESS = "/srv/app/views.py", Call("recvfrom", endless=True, peer="10.0.0.7:443")


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        ([("show", OWN), ("SyncWorker.accept", GUNICORN), ("SyncWorker.run", GUNICORN)], ["socket-wait"]),
        ([("show", OWN), ("Hub.drain_events", GUNICORN), ("main", OWN)], ["socket-wait"]),
        ([("Channel.read", GUNICORN), ("Hub.drain_events", GUNICORN), ("main", OWN)], []),
        ([("Feed.listen", OWN), ("main", OWN)], []),
        ([("traced", OWN), ("Redis.brpop", GUNICORN), ("main", OWN)], []),
    ],
)
def test_a_server_that_calls_the_program_s_code_does_not_wait_for_work(
    frames: list[tuple[str, str]], told: list[str]
) -> None:
    stack = tuple(Frame(name, file, 7) for name, file in frames)

    assert kinds(looks(thread("a", call=ENDLESS, frames=stack))) == told


# -- Ruby: stacks alone --------------------------------------------------------------------------------------------

LOCK = Frame("Thread::Mutex#synchronize", "/srv/app/job.rb", 14)
BLOCK = Frame("block in Transfer#perform", "/srv/app/job.rb", 13)
SLEEP = Frame("Kernel#sleep", "/srv/app/job.rb", 15)
ENGINE = Frame("execute_job", "/gems/sidekiq-8.1.7/lib/sidekiq/processor.rb", 228)
CLIENT = Frame("Monitor#synchronize", "/gems/redis-4.8.0/lib/redis/client.rb", 60)
READS = Frame("wait_readable", "/gems/redis-4.8.0/lib/redis/client.rb", 50)


def ruby(name: str, *frames: Frame, more: int = 0) -> Thread:
    return Thread(name, f"processor TID-{name}", (*frames, ENGINE), more)


CROSSED = ruby("a", LOCK, BLOCK, LOCK), ruby("b", LOCK, BLOCK, LOCK)


def test_threads_of_ruby_that_wait_within_locks_wait_for_each_other() -> None:
    idle = ruby("c", READS, CLIENT)
    [found] = diagnosed(looks(*CROSSED, idle, count=2))

    assert (found.kind, found.measured) == (Kind.DEADLOCK, False)
    assert found.threads == ("processor TID-a", "processor TID-b")
    assert found.title == "processor TID-a and processor TID-b wait for each other's locks"
    assert found.evidence[0].startswith("processor TID-a: /srv/app/job.rb:14 in Thread::Mutex#synchronize waits")


@pytest.mark.parametrize(
    "others",
    [
        (ruby("c", SLEEP, BLOCK, LOCK),),  # holds one, and may give it back
        (ruby("c", SLEEP, more=9),),  # what is cut off its stack is not known
    ],
)
def test_where_another_may_hold_what_they_wait_for_it_is_not_said(others: tuple[Thread, ...]) -> None:
    assert kinds(looks(*CROSSED, *others, count=2)) == []
    assert len(in_doubt(looks(*CROSSED, *others, count=2))) == 2


def test_one_look_or_one_thread_within_a_lock_is_no_ring() -> None:
    assert kinds(looks(*CROSSED, count=1)) == []
    assert kinds(looks(CROSSED[0], ruby("b", LOCK, BLOCK), count=2)) == []
    assert kinds(looks(CROSSED[0], ruby("b", CLIENT, READS, CLIENT), count=2)) == []
