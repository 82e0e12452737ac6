"""What is told of a process that is looked at again and again; each sample against the one before."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.facts.threads import Call, Frame, Thread, Threads
from kiqdoctor.doctor.hanging import Diagnosis, Kind
from kiqdoctor.examining.dumps import GoneError, UnansweredError
from kiqdoctor.examining.looking import Looked
from kiqdoctor.examining.watched import MISSES, Missed, Sample, Watched, document, lines, samples

PILE = Diagnosis(Kind.PILE_UP, ("a",), "1 thread waits\x1b", measured=False, evidence=("why",))


def thread(name: str, line: int = 7, **known: object) -> Thread:
    return replace(Thread(name, name, (Frame("work", "/srv/app.py", line),), cpu_s=1.0, yields=5), **known)  # type: ignore[arg-type]


def looked(at: float, *threads: Thread, wrong: tuple[Diagnosis, ...] = ()) -> Looked:
    return Looked(Threads("1", at, "x", threads), wrong)


def seen(*looks: Looked) -> Sample:
    watched = Watched()
    for one in looks:
        last = watched.sample(one)
    return last


def names(threads: tuple[Thread, ...]) -> list[str]:
    return [one.name for one in threads]


def test_what_stands_moves_comes_and_goes() -> None:
    first = looked(100, thread("stands"), thread("moves"), thread("goes"))
    found = seen(first, looked(102, thread("stands"), thread("moves", 8), thread("comes")))

    assert [(one.name, seconds) for one, seconds in found.stands] == [("stands", 2)]
    assert (names(found.moved), names(found.new), names(found.ended)) == (["moves"], ["comes"], ["goes"])


def test_how_long_it_stands_begins_anew_once_it_moved() -> None:
    still, elsewhere = thread("a"), thread("a", 8)

    assert [seconds for _, seconds in seen(*(looked(at, still) for at in (100, 102, 105))).stands] == [5]
    assert [
        seconds for _, seconds in seen(looked(100, still), looked(101, elsewhere), looked(105, elsewhere)).stands
    ] == [4]


@pytest.mark.parametrize(
    ("change", "stands", "again"),
    [
        ({}, ["a"], []),
        ({"yields": 7}, ["a"], []),  # our own look stopped it once
        ({"yields": 8}, [], ["a"]),
        ({"yields": 900, "call": Call("futex", gil=True)}, ["a"], []),
        ({"jid": "another"}, [], []),
        ({"cpu_s": 3.0}, [], []),
    ],
)
def test_who_ran_meanwhile_does_not_stand(change: dict[str, object], stands: list[str], again: list[str]) -> None:
    found = seen(looked(100, thread("a")), looked(102, thread("a", **change)))  # type: ignore[arg-type]

    assert [one.name for one, _ in found.stands] == stands
    assert names(found.again) == again


def test_a_fault_is_told_with_its_evidence_once_and_when_it_is_over() -> None:
    one = thread("a")
    again = list(lines("1", seen(looked(100, one, wrong=(PILE,)), looked(102, one, wrong=(PILE,)))))
    new = list(lines("1", seen(looked(100, one), looked(102, one, wrong=(PILE,)))))
    over = list(lines("1", seen(looked(100, one, wrong=(PILE,)), looked(102, one))))

    assert again[1] == "PILE-UP: 1 thread waits␛ (inferred, for 2.0 s)"
    assert "  why" not in again
    assert new[1:3] == ["PILE-UP: 1 thread waits␛ (inferred, new)", "  why"]
    assert over[1] == "no longer: PILE-UP: 1 thread waits␛"


def test_a_thousand_threads_that_stand_are_a_line_a_place() -> None:
    many = [thread(f"t{number}", number % 40) for number in range(1_000)]
    told = list(lines("1", seen(looked(100, *many), looked(102, *many))))

    assert len(told) == 12
    assert told[-1] == "  stands: 750 more at 30 other places"


def test_json_has_what_was_watched_in_each_document() -> None:
    found = document("1", seen(looked(100, thread("a")), looked(102, thread("a"))))

    assert found["schema"] == "kiqdoctor.dump/2"
    assert found["watch"]["sample"] == 2
    assert found["watch"]["stands"] == [{"id": "a", "name": "a", "for_s": 2}]


def watching(look: Callable[[], Looked], seconds: float) -> list[Sample | Missed]:
    """With a clock that only waiting turns, of a process that is elsewhere."""
    now = [0.0]

    def sleep(more: float) -> None:
        now[0] += more

    clock = Clock(monotonic=lambda: now[0], sleep=sleep)
    return list(samples("web-1:4711:ab", look, seconds, proc=Path("/nowhere"), clock=clock))


def test_it_is_looked_at_for_so_many_seconds_and_once_at_least() -> None:
    assert len(watching(lambda: looked(1, thread("a")), 0.1)) == 1
    assert len(watching(lambda: looked(1, thread("a")), 3)) == 3


def test_what_cannot_be_looked_at_is_given_up() -> None:
    def fails() -> Looked:
        raise UnansweredError("busy")

    assert watching(fails, 1_000) == [Missed("busy", partial=True)] * MISSES


@pytest.mark.parametrize(("before", "partial"), [(1, False), (0, True)])
def test_the_end_of_the_process_ends_it(before: int, partial: bool) -> None:
    left = [looked(1, thread("a"))] * before

    def look() -> Looked:
        if left:
            return left.pop()
        raise GoneError("no process")

    last = watching(look, 1_000)[-1]
    assert isinstance(last, Missed)
    assert last.partial == partial
