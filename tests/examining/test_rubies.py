"""Which job a Ruby thread runs: by its stack and its process's last beat, never by the beat alone."""

import json
from dataclasses import replace

import pytest

from kiqdoctor.doctor.facts.threads import Call, Frame, Thread, Threads
from kiqdoctor.doctor.hanging import in_doubt
from kiqdoctor.examining.dumped import document, lines
from kiqdoctor.examining.looking import Looked, judged
from kiqdoctor.examining.rubies import Jobs, with_jobs
from kiqdoctor.probes.threads.ttin import named_apart
from kiqdoctor.wire.heartbeat import WorkEntry

PAYLOAD = json.dumps({"class": "Mail", "jid": "ab" * 12, "args": ["a-secret"]}).encode()
JOBS = Jobs({"7u8": WorkEntry("7u8", "low", PAYLOAD, 90.0)}, beat=98.0)


def look(*functions: str, file: str = "/gems/sidekiq-6.4.1/lib/sidekiq/processor.rb", more: int = 0) -> Threads:
    frames = (Frame("sleep", "/srv/app.rb", 5), *(Frame(name, file, 9) for name in functions))
    return Threads("1", 100.0, "x", (Thread("7u8", "processor", frames, more),), note="from its log")


@pytest.mark.parametrize("function", ["process", "block in process", "Sidekiq::Processor#dispatch", "execute_job"])
def test_a_thread_that_stands_in_a_job_runs_what_its_beat_told(function: str) -> None:
    found = with_jobs(look(function, "process_one", "run"), JOBS)

    [one] = found.threads
    assert (one.job_class, one.jid, one.queue, one.running_s) == ("Mail", "ab" * 12, "low", 10.0)
    assert found.note == "from its log; jobs as its last beat told them, 2 s before"
    assert "a-secret" not in repr(found)


@pytest.mark.parametrize("words", [("process_one", "run"), ("get_one", "fetch", "process_one")])
def test_one_that_fetches_has_ended_what_its_beat_told(words: tuple[str, ...]) -> None:
    assert with_jobs(look(*words), JOBS).threads[0].jid == ""


def test_a_method_of_the_application_is_no_proof() -> None:
    assert with_jobs(look("process", file="/srv/app/models/order.rb"), JOBS).threads[0].jid == ""


def test_of_a_stack_that_is_cut_the_beat_is_believed() -> None:
    assert with_jobs(look(more=20), JOBS).threads[0].jid == "ab" * 12


def test_what_is_not_known_is_said() -> None:
    later = with_jobs(look("process"), Jobs({}, beat=98.0))
    never = with_jobs(look("process"), Jobs({}, why="Redis is away"))

    assert later.note.endswith("; 1 thread runs a job that it did not know then")
    assert never.note == "from its log; which jobs they run is not known: Redis is away"


def test_a_lock_whose_holder_nobody_tells_is_a_doubt_and_no_all_clear() -> None:
    waits = Thread("a", "processor TID-a", (Frame("synchronize", "/srv/app.rb", 5),))
    gets_on = Thread("b", "processor TID-b", (Frame("sleep", "/srv/app.rb", 5),))
    found = [
        lines("1", Looked(Threads("1", 1.0, "TTIN", (one,)), (), "ttin", doubts=in_doubt(looks_at(one))))[1]
        for one in (waits, gets_on)
    ]

    assert found[0] == (
        "no cause was proven: 1 thread waited for a lock in each look, and Ruby does not tell who holds it:"
        " processor TID-a: /srv/app.rb:5 in synchronize"
    )
    assert found[1] == "nothing wrong was seen in the stacks, which do not tell who holds a lock or Ruby's GVL"


def test_who_gets_no_further_is_no_all_clear() -> None:
    job = Thread("a", "a", (Frame("sync", "/srv/app.py", 5),), jid="ab" * 12, state="sleeping", call=Call("flock"))
    seen = [Threads("1", at, "py-spy", (job,)) for at in (1.0, 2.0)]
    idle = [replace(one, threads=(replace(job, jid="", call=Call("epoll_wait")),)) for one in seen]

    found, healthy, once = (lines("1", judged(one))[1] for one in (seen, idle, seen[:1]))

    assert found.startswith("no cause was proven: 1 thread got no further from look to look")
    assert found.endswith("/srv/app.py:5 in sync (flock)")
    assert "no further" in document("1", judged(seen))["note"]
    assert healthy.startswith("nothing wrong was seen: ")
    assert once.startswith("nothing wrong was seen in one look")


def looks_at(one: Thread) -> list[Threads]:
    return [Threads("1", at, "TTIN", (one,)) for at in (1.0, 2.0)]


def test_threads_of_one_name_are_told_apart() -> None:
    found = named_apart([Thread("a", "processor"), Thread("b", "processor"), Thread("c", "heartbeat"), Thread("d")])

    assert [one.name for one in found] == ["processor TID-a", "processor TID-b", "heartbeat", ""]
