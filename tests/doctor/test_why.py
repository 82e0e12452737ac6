"""What is said of a job: why it has not run, and when it will."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW
from msgspec import structs

from kiqdoctor.doctor.facts.beside import Batches, Locks
from kiqdoctor.doctor.facts.fleet import Fleet, LongJob, LongJobs, PrivateList, PrivateLists, Process
from kiqdoctor.doctor.facts.queues import Durations, Queue, Queues
from kiqdoctor.doctor.facts.tracing import Hit, Pace, Sought, Trace
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.report import Outcome, Reported, Result
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.doctor.verdict import Evidence, Finding, Severity
from kiqdoctor.doctor.why import Answer, Known, answer, known, status
from kiqdoctor.examining.why import lines

JID = "a" * 24
WAITS = Hit("queue", JID, "SendMail", "default", "queue:default", position=20, of=50)
DUE = Hit("schedule", JID, "SendMail", "default", "schedule", due_at=NOW + 100)
MOVES = Pace(30, 20, 2.0)


def facts(*hits: Hit, fleet: tuple[Process, ...] = (WORKER,), size: int = 0, **more: Any) -> Known:
    trace = Trace(hits, len(hits), (("queue:default", 50),), **more)
    queues = Queues((Queue("default", size),))
    return Known(trace, Fleet(fleet, len(fleet)), queues, PrivateLists(), Locks(), Batches(), NOW)


def asked(*hits: Hit, **changes: Any) -> Answer:
    return answer(Sought(jid=JID), facts(*hits, **changes), ())


def checks(found: Answer) -> list[str | None]:
    return [one.check for one in found.reasons]


def test_a_job_that_moves_up_starts_by_its_position_and_pace() -> None:
    found = asked(WAITS, pace=MOVES)

    assert found.starts_in_s is not None
    assert found.starts_in_s.low < 20 / 5 < found.starts_in_s.high
    assert found.basis.startswith("20 jobs before it / 5.00 a second (10 taken in 2.0 s")
    assert status(found) == 0


@pytest.mark.parametrize(("pace", "estimate"), [
    (None, None),
    (Pace(20, 20, 2.0), None),
    (Pace(0, 0, 2.0), (0.0, 2.0)),
    (Pace(3, 0, 2.0, gone=True), (0.0, 0.0)),
])  # fmt: skip
def test_what_its_pace_tells(pace: Pace | None, estimate: tuple[float, float] | None) -> None:
    found = asked(WAITS, pace=pace).starts_in_s

    assert (found and (found.low, found.high)) == estimate


def test_a_scheduled_job_starts_when_it_is_due_and_somebody_looked() -> None:
    found = asked(DUE)

    assert found.starts_in_s is not None
    assert (found.starts_in_s.low, found.starts_in_s.high) == (100.0, 107.5)


def test_behind_what_waits_nobody_can_tell() -> None:
    found = asked(DUE, size=3)

    assert found.starts_in_s is None
    assert found.basis == "due in 100 s, then behind what waits in default by then (3 jobs now)"


QUIET = replace(WORKER, quiet=True)
ELSEWHERE = replace(WORKER, queues=("mail",))
REASONS = [
    (WAITS, {"fleet": ()}, "PRO001"),
    (WAITS, {"fleet": (ELSEWHERE,)}, "QUE001"),
    (WAITS, {"fleet": (QUIET,)}, "QUE003"),
    (WAITS, {"paused": ("default",)}, "QUE003"),
    (msgspec.structs.replace(WAITS, expiry=NOW - 1), {}, None),
    (msgspec.structs.replace(DUE, due_at=NOW - 90), {}, "QUE008"),
    (msgspec.structs.replace(DUE, due_at=NOW - 90), {"fleet": ()}, "PRO001"),
    (msgspec.structs.replace(DUE, due_at=NOW * 1000), {}, "QUE009"),
    (Hit("dead", JID, "SendMail", error="Boom: no"), {}, None),
    (Hit("in-flight", JID, process=WORKER.identity), {"fleet": (replace(WORKER, beat_age_s=61.0),)}, "PRO008"),
    (Hit("other-namespace", JID, namespace="shop"), {}, "NSP001"),
    (Hit("other-database", JID, database=3), {}, "NSP002"),
]


@pytest.mark.parametrize(("hit", "changes", "check"), REASONS)
def test_what_keeps_it_from_running(hit: Hit, changes: dict[str, Any], check: str | None) -> None:
    found = asked(hit, pace=MOVES, **changes)

    assert checks(found) == [check]
    assert found.starts_in_s is None
    assert status(found) == 1


@pytest.mark.parametrize(("hit", "changes"), [
    (WAITS, {}),
    (msgspec.structs.replace(WAITS, expiry=NOW + 1), {}),
    (WAITS, {"paused": ("mail",)}),
    (WAITS, {"fleet": (QUIET, replace(WORKER, identity="b:1:aa"))}),
    (DUE, {}),
    (DUE, {"fleet": ()}),
    (msgspec.structs.replace(DUE, due_at=NOW - 30), {}),
    (Hit("in-flight", JID, process=WORKER.identity), {}),
])  # fmt: skip
def test_their_twins_run(hit: Hit, changes: dict[str, Any]) -> None:
    assert checks(asked(hit, pace=MOVES, **changes)) == []


@pytest.mark.parametrize(("signed", "check"), [(False, ["PRO014"]), (True, [])])
def test_a_private_list_of_the_dead(signed: bool, check: list[str]) -> None:
    hit = Hit("private-list", JID, queue="default", key="queue:sq|x|default", process="x")
    private = PrivateLists((PrivateList("queue:sq|x|default", "Sidekiq Pro super_fetch", 1, "x", signed=signed),))

    found = answer(Sought(jid=JID), msgspec.structs.replace(facts(hit), private=private), ())
    assert checks(found) == check


MAIL = Finding("queue:mail", "5 jobs lie in a private list", "", (Evidence("owner", "web-9:1:aa"),))
OF_DEFAULT = Finding("queue:default", "default is paused, and 5 jobs wait", "")
STALLED = Finding("set:schedule", "7 jobs are overdue", "")
STUCK = Finding("job:SendMail", f"{JID} has been running for 7 h", "")


@pytest.mark.parametrize(("check", "finding", "hit", "counts"), [
    ("QUE003", OF_DEFAULT, WAITS, True),
    ("QUE003", OF_DEFAULT, msgspec.structs.replace(WAITS, queue="mail"), False),
    ("QUE008", STALLED, msgspec.structs.replace(DUE, due_at=NOW - 9), True),
    ("QUE008", STALLED, DUE, False),
    ("PRO014", MAIL, Hit("private-list", JID, queue="mail", process="web-9:1:aa"), True),
    ("PRO014", MAIL, Hit("private-list", JID, queue="mail", process="web-8:1:aa"), False),
    ("PRO014", MAIL, msgspec.structs.replace(WAITS, queue="mail"), False),
    ("PRO006", STUCK, Hit("in-flight", JID, process=WORKER.identity), True),
    ("PRO006", STUCK, Hit("in-flight", "b" * 24, process=WORKER.identity), False),
])  # fmt: skip
def test_findings_count_where_the_job_lies(check: str, finding: Finding, hit: Hit, counts: bool) -> None:
    [judge] = [one for one in load() if one.id == check]
    result = Result(judge, Outcome.FAIL, None, 0.0, (), (Reported(finding, Severity.HIGH, check),))

    found = answer(Sought(jid=hit.jid), facts(hit, fleet=(replace(WORKER, queues=("default", "mail")),)), [result])
    assert [one.title for one in found.reasons] == ([finding.title] if counts else [])


def test_nowhere_is_an_answer_where_all_was_looked_at() -> None:
    found = asked(processed=17)

    assert status(found) == 0
    assert "it is nowhere in 1 place with 50 jobs" in found.told[0]
    assert "17 jobs have ended here so far (stat:processed)" in found.told


def test_nowhere_is_none_where_something_was_not() -> None:
    found = asked(unknown=("database 3: SELECT is refused",))

    assert status(found) == 3
    assert found.told == ()


def test_what_our_runtime_says_became_of_it() -> None:
    assert asked(status="done", status_at=NOW - 5).told[0] == "our runtime tells its status: done, 5 s ago"


def test_a_fact_that_was_refused_is_a_gap_and_no_reason() -> None:
    found = known(HEALTHY.with_(Trace((WAITS,), 1)).without(Fleet, Refused("NOPERM", "+hmget")), NOW)

    assert found.gaps == ("NOPERM (to settle it: +hmget)",)
    assert checks(answer(Sought(jid=JID), found, ())) == []


def test_of_many_no_time_is_told() -> None:
    assert asked(WAITS, DUE).basis == "it lies in several places"


RUNS = Hit("in-flight", JID, "SendMail", "default", process=WORKER.identity, thread="t1", since=NOW - 30)


def told(hit: Hit, **changes: Any) -> str:
    known_ = msgspec.structs.replace(facts(hit), **changes)
    return "; ".join(answer(Sought(jid=JID), known_, ()).told)


def test_how_unusual_it_is_that_it_runs_so_long() -> None:
    mean = Durations({"SendMail": 1.5}, {"SendMail": 40})
    long = LongJobs((LongJob(JID, 2.5, 1),))

    assert (
        told(RUNS, durations=mean)
        == "it runs for 30 s, 20.0 times the mean of SendMail (1.5 s, 40 runs of the last hour)"
    )
    assert "95 of 100 of SendMail take 2.5 s at most (1 run of the last two hours)" in told(
        RUNS, durations=mean, long=long
    )


@pytest.mark.parametrize("durations", [None, Durations({}), Durations({"Other": 1.0}, {"Other": 9})])
def test_what_nobody_recorded_is_not_known(durations: Durations | None) -> None:
    assert "is not known: nobody recorded how long SendMail takes" in told(RUNS, durations=durations)
    assert "does not say since when" in told(msgspec.structs.replace(RUNS, since=None), durations=durations)
    assert told(WAITS, durations=durations) == ""


def test_what_was_not_read_is_no_lack_of_records() -> None:
    found = known(HEALTHY.without(Durations, Refused("it may not call HLEN", "+hlen")), NOW)

    assert "is not known: it may not call HLEN (to settle it: +hlen)" in told(RUNS, unrecorded=found.unrecorded)


def test_in_a_queue_the_next_comes_first_and_what_is_said_of_each_is_said_once() -> None:
    waiting = [structs.replace(WAITS, jid=f"{number:024}", position=number) for number in (2, 1, 0)]
    running = [structs.replace(RUNS, jid=f"{number:024}", since=NOW - 30) for number in (8, 9)]

    found = asked(*waiting, *running)

    assert [one.jid[-1] for one in found.hits] == ["0", "1", "2", "8", "9"]
    assert len(found.told) == len(set(found.told))
    assert sum("how unusual" in line for line in found.told) == 1
    shown = list(lines(found))
    assert "the next to be taken" in shown[0]
    assert "1 of 50 before it" in shown[1]
