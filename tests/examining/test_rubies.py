"""Which job a Ruby thread runs: by its stack and its process's last beat, never by the beat alone."""

import json

import pytest

from kiqdoctor.doctor.facts.threads import Frame, Thread, Threads
from kiqdoctor.examining.rubies import Jobs, with_jobs
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
