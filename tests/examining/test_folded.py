"""Many threads in words that can be read: one stack once, very many stacks as a tree, in bounded lines."""

from kiqdoctor.doctor.facts.threads import Frame, Thread
from kiqdoctor.examining.folded import BRANCHES, OUTER, STACKS, TREE, lines, without_guesses

RUN = Frame("run", "threading.py", 982)


def thread(number: int, *frames: Frame, **known: object) -> Thread:
    return Thread(f"0x{number:x}", f"t{number}", (*frames, RUN), **known)  # type: ignore[arg-type]


def at(line: int, function: str = "work") -> Frame:
    return Frame(function, "/srv/app.py", line)


def test_threads_with_one_stack_are_shown_once_with_their_number() -> None:
    told = list(lines([thread(number, at(7), waits="A, held by t0") for number in range(1_000)]))

    assert told[0] == "1000 threads with one stack: t0, t1, t2, t3, t4, t5, t6, t7, t8, t9 and 990 more"
    assert told[1] == "  1000 of them: waits for A, held by t0"
    assert told[2:] == ["  /srv/app.py:7 in work", "  threading.py:982 in run"]


def test_their_jobs_are_told_those_that_run_longest_first() -> None:
    jobs = [thread(number, at(7), job_class="Nap", jid=f"j{number}", running_s=float(number)) for number in range(99)]
    told = list(lines(jobs))

    assert told[0] == "99 threads with one stack"
    assert told[1] == "  t98 class=Nap jid=j98 queue= running=98.0s"
    assert told[11] == "  and 89 more jobs: 89 of Nap"


def test_a_few_threads_are_shown_each() -> None:
    told = list(lines([thread(0, at(7)), thread(1, at(7)), thread(2, at(7))]))

    assert [line for line in told if line.startswith("Thread")] == ["Thread 0x0 t0", "Thread 0x1 t1", "Thread 0x2 t2"]


def test_very_many_stacks_are_a_tree() -> None:
    told = list(lines([thread(number, at(number)) for number in range(STACKS)] + [thread(99, at(99), at(1, "main"))]))

    assert told[0].startswith(f"{STACKS + 1} threads in {STACKS + 1} stacks")
    assert told[1] == f"  {STACKS + 1}  threading.py:982 in run"
    assert "   1  /srv/app.py:1 in main" not in told
    assert told[-1].split() == [str(STACKS + 1 - BRANCHES), "in", str(STACKS + 1 - BRANCHES), "other", "calls"]


def test_a_call_that_calls_itself_is_one_call_however_deep() -> None:
    told = list(lines([thread(number, at(9, "beat"), *[at(5, "deep")] * number) for number in range(1, 60)]))

    assert told[1:] == [
        "  59  threading.py:982 in run",
        "      /srv/app.py:5 in deep",
        "      /srv/app.py:9 in beat",
        "  <- t1, t2, t3, t4, t5 and 54 more",
    ]


def test_whatever_the_stacks_are_the_lines_are_bounded() -> None:
    wild = [thread(number, *(at(number % prime, f"f{prime}\x1b[2J") for prime in (3, 5, 7, 11, 13, 17, 19)))
            for number in range(2_000)]  # fmt: skip
    told = list(lines(wild))

    assert len(told) <= TREE + 2
    assert "\x1b" not in "\n".join(told)


def test_what_only_seems_to_be_held_is_told_where_somebody_waits_for_it() -> None:
    holds = ("probably ctx, taken at a.py:1", "probably A, taken at a.py:2", "B, taken at a.py:3")
    held, _ = without_guesses([thread(0, at(7), holds=holds), thread(1, at(8), waits="A at a.py:8, held by t0")])

    assert held.holds == holds[1:]


def test_what_a_library_calls_the_program_through_is_left_out() -> None:
    gem = [Frame(f"f{number}", "/gems/sidekiq-8.1.7/lib/sidekiq/processor.rb", number) for number in range(30)]
    own = Thread("2g2", "processor TID-2g2", (at(7), *gem), 2)
    theirs = Thread("2em", "heartbeat", tuple(gem[:5]))

    told = list(lines([theirs, own]))

    assert told[6:9] == ["Thread processor TID-2g2", "  /srv/app.py:7 in work", f"  {gem[0].file}:0 in f0"]
    assert told[6 + OUTER :] == [f"  {gem[OUTER - 2].file}:{OUTER - 2} in f{OUTER - 2}", "  25 more frames"]
    assert told[:6] == ["Thread 2em heartbeat", *(f"  {one.file}:{one.line} in {one.function}" for one in gem[:5])]


def test_threads_that_run_jobs_come_first() -> None:
    told = list(lines([thread(0, at(7)), thread(1, at(8), job_class="Nap", jid="j")]))

    assert [line for line in told if line.startswith("Thread")] == [
        "Thread 0x1 t1 class=Nap jid=j queue=",
        "Thread 0x0 t0",
    ]
