from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.wire.codec import ArgumentError


@pytest.fixture
def note(lab: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Note")
    def note(what: Any) -> None:
        lab.note(what)
        if what == "fail":
            raise ValueError(what)

    return note


def named(lab: Any, name: str) -> Any:
    def around(subject: Any, proceed: Any) -> Any:
        lab.note(f"{name} in")
        try:
            return proceed()
        finally:
            lab.note(f"{name} out")

    return around


def test_the_first_is_outermost_on_both_sides(lab: Any, note: Job[..., None]) -> None:
    lab.configure(
        middleware=[named(lab, "s1"), named(lab, "s2")], client_middleware=[named(lab, "c1"), named(lab, "c2")]
    )
    note.perform_async("body")
    lab.work()

    assert lab.seen == [
        *["c1 in", "c2 in", "c2 out", "c1 out"],
        *["s1 in", "s2 in", "body", "s2 out", "s1 out"],
    ]


def test_a_client_that_does_not_proceed_drops_the_push(lab: Any, note: Job[..., None]) -> None:
    def no_odd(fields: dict[str, Any], proceed: Any) -> None:
        if fields["args"][0] % 2 == 0:
            proceed()

    lab.configure(client_middleware=[no_odd])
    assert note.perform_async(1) == ""
    first, dropped, second = note.perform_bulk([[2], [3], [4]])

    assert dropped == ""
    assert [job["jid"] for job in lab.jobs("queue:default")] == [second, first]
    assert note.perform_bulk([[1], [3]]) == ["", ""]


def test_what_a_client_changes_is_what_is_pushed(lab: Any, note: Job[..., None]) -> None:
    def change(fields: dict[str, Any], proceed: Any) -> Any:
        fields["queue"] = "low"
        fields["locale"] = "de"
        fields["args"] = [fields["args"][0] * 2, 1e-9]
        return proceed()

    lab.configure(client_middleware=[change])
    note.perform_async("a")

    [job] = lab.jobs("queue:low")
    assert (job["queue"], job["locale"], job["args"]) == ("low", "de", ["aa", 1e-9])
    assert lab.redis.smembers("queues") == {b"low"}


def test_what_a_client_adds_is_checked(lab: Any, note: Job[..., None]) -> None:
    def add(fields: dict[str, Any], proceed: Any) -> Any:
        fields["seen"] = {"deep": [float("nan")]}
        return proceed()

    lab.configure(client_middleware=[add])
    with pytest.raises(ArgumentError, match=r"after client middleware.*seen.*deep"):
        note.perform_async("a")
    assert not lab.redis.exists("queue:default")


def test_a_client_that_raises_pushes_nothing(lab: Any, note: Job[..., None]) -> None:
    def refuse(fields: dict[str, Any], proceed: Any) -> Any:
        raise PermissionError

    lab.configure(client_middleware=[refuse])
    with pytest.raises(PermissionError):
        note.perform_bulk([[1], [2]])
    assert not lab.redis.exists("queue:default")


def test_a_server_that_does_not_proceed_ends_the_job_as_done(lab: Any, note: Job[..., None]) -> None:
    lab.configure(middleware=[lambda running, proceed: None])
    note.perform_async(1)
    lab.work()

    assert lab.seen == []
    assert not lab.redis.exists("retry", "dead")
    assert lab.redis.get("stat:processed") == b"1"


@pytest.mark.parametrize("error", [KeyError, SystemExit])
def test_a_server_that_raises_fails_the_job(lab: Any, note: Job[..., None], error: type[BaseException]) -> None:
    def broken(running: Running, proceed: Any) -> Any:
        proceed()
        raise error("after")

    lab.configure(middleware=[broken])
    note.perform_async(1)
    lab.work()

    assert lab.seen == [1]
    assert lab.jobs("retry")[0]["error_class"] == error.__name__
    assert lab.redis.get("stat:failed") == b"1"


def test_a_server_may_save_a_job_from_failing(lab: Any, note: Job[..., None]) -> None:
    def forgiving(running: Running, proceed: Any) -> Any:
        try:
            proceed()
        except ValueError:
            lab.note("forgiven")

    lab.configure(middleware=[forgiving])
    note.perform_async("fail")
    lab.work()

    assert lab.seen == ["fail", "forgiven"]
    assert not lab.redis.exists("retry")


def test_a_retry_has_the_original_fields_whatever_middleware_did(lab: Any, note: Job[..., None]) -> None:
    def meddle(running: Running, proceed: Any) -> Any:
        running.fields["args"] = ["changed"]
        running.fields["mine"] = 1
        running.args.append("more")
        del running.fields["jid"]
        running.args.pop()
        return proceed()

    lab.configure(middleware=[meddle])
    jid = note.perform_async("fail")
    lab.work()

    [job] = lab.jobs("retry")
    assert (job["args"], job["jid"]) == (["fail"], jid)
    assert "mine" not in job


def test_servers_see_what_runs(lab: Any, note: Job[..., None]) -> None:
    def look(running: Running, proceed: Any) -> Any:
        lab.note((running.job_class, running.queue, running.args, running.attempt, running.fields["retry"]))
        assert kiqdoctor.current() is running
        return proceed()

    lab.configure(middleware=[look])
    note.perform_async(7)
    lab.work()

    assert lab.seen == [("Note", "default", [7], 1, True), 7]
