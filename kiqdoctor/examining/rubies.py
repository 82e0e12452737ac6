"""A Ruby worker's threads by its own dump in its log, and which job each runs by what it tells Redis."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.threads import Thread, Threads
from kiqdoctor.doctor.hanging import diagnosed
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.examining.looking import Looked, judged
from kiqdoctor.probes.threads.tasks import state
from kiqdoctor.probes.threads.ttin import SilentError, dumps
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean
from kiqdoctor.wire.heartbeat import WorkEntry

_PROCESSOR: Final = "sidekiq/processor.rb"
_RUNS: Final = regex(r"\b(?:process|dispatch|execute_job)$")  # what runs a job; what fetches one is process_one


@dataclass(frozen=True, slots=True)
class Jobs:
    """What a process told Redis at its last beat: jobs by the thread that runs them; ``why`` where they are unknown."""

    all: Mapping[str, WorkEntry]
    beat: float | None = None
    why: str = ""


def of_ruby(pid: int, proc: Path, jobs: Callable[[], Jobs]) -> Looked:
    """What keeps it from writing a dump, or us from reading it, is told; that it is stopped is a diagnosis."""
    try:
        found = dumps(pid, proc)
    except RefusalError as error:
        refused = error.refused
        nothing = Threads(str(pid), SYSTEM.now(), "TTIN", state=state(pid, proc))
        said = "; ".join(filter(None, (refused.reason, refused.unlock)))
        wrong = diagnosed((nothing,))
        alive = wrong or isinstance(error, SilentError)
        return Looked(by_beat(nothing, jobs()) if alive else nothing, wrong, "ttin", said)
    told = jobs()
    named = tuple(with_jobs(one, told) for one in found)
    return judged(named, "ttin")


def with_jobs(look: Threads, jobs: Jobs) -> Threads:
    """The same with the job of each thread that stands in one, and how old that word is."""
    threads = tuple(_with_job(one, jobs.all.get(one.id), look.at) for one in look.threads)
    return replace(look, threads=threads, note="; ".join(filter(None, (look.note, _note(threads, jobs, look.at)))))


def by_beat(look: Threads, jobs: Jobs) -> Threads:
    """Of a process that shows no threads those that ran a job when it last told Redis so."""
    threads = tuple(_of(Thread(name, state=look.state), work, look.at) for name, work in sorted(jobs.all.items()))
    return replace(look, threads=threads, note=_note((), jobs, look.at))


def _with_job(one: Thread, work: WorkEntry | None, now: float) -> Thread:
    return one if work is None or not _runs_one(one) else _of(one, work, now)


def _of(one: Thread, work: WorkEntry, now: float) -> Thread:
    since = max(0.0, now - work.run_at) if work.run_at is not None else None
    job = work.job
    return replace(one, job_class=clean(job.shown_class), jid=clean(job.jid), queue=clean(work.queue), running_s=since)


def _runs_one(one: Thread) -> bool:
    """Whether its stack shows Sidekiq running a job; where the stack is cut before that, the beat is believed."""
    return bool(one.more_frames) or any(
        frame.file.endswith(_PROCESSOR) and _RUNS.search(frame.function) for frame in one.frames
    )


def _note(threads: Sequence[Thread], jobs: Jobs, now: float) -> str:
    if jobs.why:
        return f"which jobs they run is not known: {jobs.why}"
    age = f", {max(0.0, now - jobs.beat):.0f} s before" if jobs.beat is not None else ""
    new = sum(not one.more_frames and not one.jid and _runs_one(one) for one in threads)
    later = f"; {counted(new, 'thread runs', 'threads run')} a job that it did not know then" if new else ""
    return f"jobs as its last beat told them{age}{later}"
