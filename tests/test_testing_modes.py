"""The modes for users' own tests: nothing of them may need a Redis."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.runtime import context, instead
from kiqdoctor.runtime.job import REGISTRY, Job
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.testing import fake, inline
from kiqdoctor.wire.codec import ArgumentError

NOWHERE = "redis://127.0.0.1:1/0"  # whoever asks it has failed


@pytest.fixture(autouse=True)
def configured() -> Iterator[None]:
    kiqdoctor.configure(redis=NOWHERE, middleware=[], client_middleware=[])
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)
    kiqdoctor.configure(redis=NOWHERE, middleware=[], client_middleware=[])


@pytest.fixture
def ran() -> list[Any]:
    return []


@pytest.fixture
def note(ran: list[Any]) -> Job[..., None]:
    @kiqdoctor.job(name="Note", queue="low", tags=["a"])
    def note(*args: Any) -> None:
        ran.append(args)

    return note


@pytest.fixture
def fail() -> Job[..., None]:
    @kiqdoctor.job(name="Fail")
    def fail() -> None:
        raise ZeroDivisionError

    return fail


def test_fake_keeps_what_was_pushed(note: Job[..., None], ran: list[Any]) -> None:
    with fake() as pushed:
        jid = note.perform_async(1, {"a": [None]})
        (later,) = note.perform_bulk([["bulk"]])
        note.perform_at(4_000_000_000, "later")
    first, second, third = pushed.jobs
    assert (first.job_class, first.args, first.queue, first.jid, first.at) == (
        "Note",
        [1, {"a": [None]}],
        "low",
        jid,
        None,
    )
    assert first.fields["tags"] == ["a"]
    assert second.jid == later
    assert (third.args, third.at) == (["later"], 4_000_000_000)
    assert ran == []


def test_arguments_are_checked_and_make_the_journey_through_json(note: Job[..., None], ran: list[Any]) -> None:
    given = [1, 2]
    with fake() as pushed:
        with pytest.raises(ArgumentError):
            note.perform_async((1, 2))
        note.perform_async(given)
        given.append(3)
        pushed.drain()
    assert ran == [([1, 2],)]


def test_drain_runs_in_order_what_is_for_later_last(note: Job[..., None], ran: list[Any]) -> None:
    with fake() as pushed:
        note.perform_in(7200, "in two hours")
        note.perform_async("first")
        note.perform_in(3600, "in an hour")
        note.perform_async("second")
        assert pushed.drain(scheduled=False) == 2
        assert ran == [("first",), ("second",)]
        assert len(pushed) == 2
        assert pushed.drain() == 2
    assert ran[2:] == [("in an hour",), ("in two hours",)]


def test_drain_runs_what_jobs_push(note: Job[..., None], ran: list[Any]) -> None:
    @kiqdoctor.job(name="Parent")
    def parent() -> None:
        note.perform_async("child")

    with fake() as pushed:
        parent.perform_async()
        assert pushed.drain() == 2
        assert not pushed.jobs
    assert ran == [("child",)]


def test_drain_ends_with_jobs_that_push_themselves() -> None:
    @kiqdoctor.job(name="Again")
    def again() -> None:
        again.perform_async()

    with fake() as pushed:
        again.perform_async()
        with pytest.raises(RuntimeError, match=r"10000 jobs ran and 1 still wait.*Again"):
            pushed.drain()


def test_a_failure_ends_the_drain_and_leaves_the_rest(fail: Job[..., None], note: Job[..., None]) -> None:
    with fake() as pushed:
        fail.perform_async()
        note.perform_async("rest")
        with pytest.raises(ZeroDivisionError):
            pushed.drain()
        assert [job.args for job in pushed.jobs] == [["rest"]]
        pushed.clear()
        assert pushed.drain() == 0


def test_assertions_pass_for_what_is_there(note: Job[..., None], fail: Job[..., None]) -> None:
    with fake() as pushed:
        note.perform_async(1, "x")
        note.perform_async(1, "x")
        note.perform_in(60, 2)
    assert pushed.assert_enqueued(note, 2).at is not None
    pushed.assert_enqueued(note)
    pushed.assert_enqueued("Note", 1, "x", times=2)
    pushed.assert_not_enqueued(note, 3)
    pushed.assert_not_enqueued(fail)


def test_assertions_that_fail_tell_what_there_is(note: Job[..., None], fail: Job[..., None]) -> None:
    with fake() as pushed:
        with pytest.raises(
            AssertionError, match=r"Note\(1\) was to be enqueued once or more, and was 0 times; nothing"
        ):
            pushed.assert_enqueued(note, 1)
        note.perform_async(1, "x")
        with pytest.raises(AssertionError, match=r"was 0 times; enqueued of it: Note\(1, 'x'\) to low$"):
            pushed.assert_enqueued(note, 2)
        with pytest.raises(AssertionError, match=r"Fail\(\.\.\.\) was .* enqueued of others: Note\(1, 'x'\) to low$"):
            pushed.assert_enqueued(fail)
        with pytest.raises(AssertionError, match="2 times, and was 1 times"):
            pushed.assert_enqueued(note, times=2)
        with pytest.raises(AssertionError, match=r"was not to be enqueued, and was: Note\(1, 'x'\)"):
            pushed.assert_not_enqueued(note)


def test_inline_runs_it_at_once_whenever_it_is_for(note: Job[..., None], ran: list[Any]) -> None:
    with inline():
        note.perform_async([1])
        note.perform_in(3600, "later")
        note.perform_bulk([["a"], ["b"]])
    assert ran == [([1],), ("later",), ("a",), ("b",)]


def test_an_inline_failure_reaches_who_pushed(fail: Job[..., None], note: Job[..., None]) -> None:
    with inline():
        with pytest.raises(ZeroDivisionError):
            fail.perform_async()
        with pytest.raises(ArgumentError):
            note.perform_async(object())


def test_a_coroutine_runs_to_its_end(ran: list[Any]) -> None:
    @kiqdoctor.job(name="Async")
    async def later(word: str) -> None:
        ran.append(word)

    with inline():
        later.perform_async("done")
    assert ran == ["done"]


def test_an_iterable_job_runs_to_its_end_and_its_cursors_are_checked(ran: list[Any]) -> None:
    @kiqdoctor.job(name="Iterable")
    def steps(bad: bool, *, cursor: Any = None) -> Iterator[Any]:
        for number in range(3):
            ran.append((cursor, number))
            yield (number,) if bad else number

    with inline():
        steps.perform_async(False)
        assert ran == [(None, 0), (None, 1), (None, 2)]
        with pytest.raises(ArgumentError, match="the cursor"):
            steps.perform_async(True)


def test_inside_a_job_it_can_be_asked_for(ran: list[Any], note: Job[..., None]) -> None:
    @kiqdoctor.job(name="Outer", timeout=60)
    def outer() -> None:
        note.perform_async()
        running = context.current()
        running.checkpoint()
        ran.append((running.job_class, running.jid))

    with inline():
        jid = outer.perform_async()
    assert ran == [(), ("Outer", jid)]
    with pytest.raises(LookupError):
        context.current()


@pytest.mark.parametrize("mode", ["fake", "inline"])
def test_middleware_of_both_sides_runs(note: Job[..., None], ran: list[Any], mode: str) -> None:
    def stamped(fields: dict[str, Any], proceed: Any) -> Any:
        fields["locale"] = "de"
        return proceed()

    def told(running: Running, proceed: Any) -> Any:
        ran.append((running.job_class, running.queue, running.args, running.fields["locale"], running.attempt))
        return proceed()

    kiqdoctor.configure(redis=NOWHERE, middleware=[told], client_middleware=[stamped])
    if mode == "inline":
        with inline():
            note.perform_async(1)
    else:
        with fake() as pushed:
            note.perform_async(1)
            pushed.drain()
    assert ran == [("Note", "low", [1], "de", 1), (1,)]


def test_a_job_that_nobody_defines_is_named() -> None:
    orphan = kiqdoctor.job(name="Gone")(lambda: None)
    REGISTRY.clear()
    with inline(), pytest.raises(LookupError, match="no job is called Gone"):
        orphan.perform_async()


def test_modes_nest_and_end(note: Job[..., None], ran: list[Any]) -> None:
    before = instead.current
    with fake() as outer:
        with inline():
            note.perform_async("inner")
        note.perform_async("outer")
    assert ran == [("inner",)]
    assert [job.args for job in outer.jobs] == [["outer"]]
    assert instead.current is before is None


USERS = """
import pytest
from kiqdoctor import job

ran = []

@job
def welcome(name):
    ran.append(name)

def test_fake(kiqdoctor_fake):
    welcome.perform_async("ada")
    kiqdoctor_fake.assert_enqueued(welcome, "ada")
    assert ran == []
    kiqdoctor_fake.drain()
    assert ran == ["ada"]

def test_inline(kiqdoctor_inline):
    welcome.perform_async("bob")
    assert ran[-1] == "bob"

def test_neither():
    from kiqdoctor.runtime import instead
    assert instead.current is None
"""


def test_the_fixtures_are_there_for_users_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "test_users.py").write_text(USERS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    shown = subprocess.run([*command, "--fixtures"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "kiqdoctor_inline" in shown.stdout
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "3 passed" in ran.stdout, ran.stdout


def test_the_module_costs_nothing() -> None:
    code = "import kiqdoctor.testing, sys; print(*{'redis', 'pytest', 'msgspec', 'django'} & set(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == []
