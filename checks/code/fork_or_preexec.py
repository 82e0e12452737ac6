"""A job forks a process that has other threads: the child may hold their locks for ever.

## Why it hurts
A fork copies one thread, and every lock as it was at that moment. A lock of the allocator, of logging or of OpenSSL
that another job's thread held stays held in the child, which hangs at its first use. `preexec_fn` runs Python in just
such a child, before `exec`.

In the log: `DeprecationWarning: This process is multi-threaded, use of fork() may lead to deadlocks in the child`; a
child that sleeps in futex for ever.

## How it is found
Formula: fails if a job leads to `os.fork`, to processes of `multiprocessing`, `multiprocess`, `torch.multiprocessing`
or `ProcessPoolExecutor` that nobody told to spawn, to `preexec_fn=`, or in Ruby to `fork` or `Parallel`'s processes,
and jobs run in threads; medium where nothing tells how they run

What a job leads to is followed through the application's own functions, and so is a spawn context that was chosen
before.

## When it is wrong
Python 3.14 and later spawn by themselves (`forkserver`) where nothing else is said, which counts where a file pins such
a version; `preexec_fn` and `os.fork` remain.

## Confirm by hand
`ls /proc/PID/task | wc -l` of the worker: more than one thread? Follow the functions that the evidence names.

## How to fix
`multiprocessing.get_context("spawn")`, `mp_context=` of the executor; `start_new_session=True` or `process_group=0` in
place of `preexec_fn=os.setsid`; in Ruby `Process.spawn` or `in_threads:`.

Risk: a spawned process starts anew and costs its imports.

Undo: the call as it was.

## Unknown when
Nothing was found and files could not be parsed.

## Source
CPython issue 100228; Python, `subprocess` (`preexec_fn` is not safe with threads), `multiprocessing` (start methods);
ruff PLW1509; parallel's README (processes are its default).
"""

from collections.abc import Iterator
from itertools import chain

from packaging.version import Version

from kiqdoctor.doctor import Finding, Missing, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Call, Calls, Code, Execution, Forks, Named, Shape
from kiqdoctor.doctor.facts.packages import Runtimes
from kiqdoctor.doctor.rules import how_it_runs, led_to, shared_only, sharing, told
from kiqdoctor.doctor.versions import version_of

HOOK = "preexec_fn"
FORKSERVER = Version("3.14")
LIBRARIES = ("multiprocessing.", "concurrent.futures.")
CONTEXT = "get_context"
START_METHOD = "set_start_method"
PARALLEL = {"Parallel.map", "Parallel.each", "Parallel.each_with_index", "Parallel.map_with_index", "Parallel.flat_map"}
IN_THREADS = "in_threads"
SESSION = "Write start_new_session=True or process_group=0 in place of preexec_fn."


@check("COD008", severity=Severity.HIGH)
def fork_or_preexec(
    code: Code, forks: Forks, calls: Calls, execution: Execution, runtimes: Runtimes | Missing
) -> Iterator[Verdict]:
    served = isinstance(runtimes, Runtimes) and _serves(runtimes, calls)
    forking = (one for one in led_to(code, forks.sites) if not (served and _is_usual(one.name)))
    found = chain(
        (_forks(code, one, execution) for one in forking),
        (_called(code, one, execution) for one in led_to(code, calls.sites)),
    )
    yield from shared_only(code, execution, found, forks, calls)


def _serves(runtimes: Runtimes, calls: Calls) -> bool:
    """Whether all pins are of a Python whose `multiprocessing` asks a server for processes, and nobody said fork."""
    pins = [version_of(one.version) for one in runtimes.all if one.language == "python"]
    if not pins or any(one is None or one < FORKSERVER for one in pins):
        return False
    return not any(one.name.endswith(START_METHOD) for one in calls.sites)


def _is_usual(name: str) -> bool:
    """Whether it starts processes in the way that nobody chose."""
    return name.startswith(LIBRARIES) and CONTEXT not in name


def _forks(code: Code, fork: Named, execution: Execution) -> Finding | None:
    remedy = 'Write multiprocessing.get_context("spawn"), or mp_context= of the executor.'
    if code.language(fork) == "ruby":
        remedy = "Write Process.spawn with a command of its own."
    return _finding(code, fork, fork.name, remedy, execution)


def _called(code: Code, call: Call, execution: Execution) -> Finding | None:
    if any(one.name == HOOK and one.shape is not Shape.NONE for one in call.arguments):
        return _finding(code, call, f"{call.name}({HOOK}=)", SESSION, execution)
    if call.name in PARALLEL and not any(one.name == IN_THREADS or one.text == "0" for one in call.arguments):
        return _finding(code, call, call.name, f"Write {IN_THREADS}: 4.", execution)
    return None


def _finding(code: Code, site: Named | Call, name: str, remedy: str, execution: Execution) -> Finding | None:
    shared = sharing(code, execution, site)
    if shared.truth is False:
        return None
    severity = Severity.HIGH if shared.truth else Severity.MEDIUM
    title = f"A job leads to {name}, which forks a process with threads"
    return told(code, site, severity, title, remedy, how_it_runs(shared), key=name)
