"""Jobs load code while other jobs run.

## Why it hurts
Ruby's `require` and the import of a large native package take seconds in which the job's threads wait for one another;
two threads that load files which need each other may deadlock or see half a module.

In the log: `uninitialized constant`, `partially initialized module`, or a first job that is slow in each process.

## How it is found
Formula: medium if a job leads to a Ruby `require`, `load` or `require_dependency` of what no file loads at start, or to
an import of a large native package (numpy, pandas, torch, tensorflow, scipy, cv2, sklearn) that no module imports when
it is loaded (info within `try` and `except ImportError`); if a job imports a module of the application that imports the
job's own, what is named at run time, or a module that changes the environment or other globals when it is loaded; if a
job's file says autoload, or Rails runs without eager_load in production

Preview: on nine real applications it found nothing, so how many of its findings are true is not measured.

## When it is wrong
A package that few processes ever need.

## Confirm by hand
Start the worker and ask whether the name is loaded before its first job.

## How to fix
Load it at the top of the file.

Risk: each process starts slower and holds more memory.

Undo: the line as it was.

## Unknown when
Nothing was found and files could not be parsed.

## Source
Sidekiq wiki, Problems and Troubleshooting ("require is not atomic"); nltk#803.
"""

from collections.abc import Iterator
from itertools import chain

from kiqdoctor.doctor import Finding, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Code, Execution, Import, Imports
from kiqdoctor.doctor.facts.code.habits import LateLoad, LateLoads, Lateness
from kiqdoctor.doctor.rules import how_it_runs, led_to, shared_only, sharing, told

HEAVY = {"numpy", "pandas", "torch", "tensorflow", "scipy", "cv2", "sklearn"}


@check("COD003", severity=Severity.MEDIUM, preview=True)
def load_during_job(code: Code, imports: Imports, late: LateLoads, execution: Execution) -> Iterator[Verdict]:
    booted = {_key(code, one) for one in imports.sites if one.statement and code.functions[one.function].body}
    inside = (one for one in led_to(code, imports.sites) if one.statement and not code.functions[one.function].body)
    found = (_judged(code, one, execution) for one in inside if _key(code, one) not in booted)
    own = (_late(code, one, execution) for one in late.sites)
    yield from shared_only(code, execution, chain(found, own), imports, late)


def _late(code: Code, one: LateLoad, execution: Execution) -> Finding | None:
    shared = sharing(code, execution, one)
    if shared.truth is False:
        return None
    evidence = (how_it_runs(shared),) if code.leads_to(one) else ()
    remedy = "Write config.eager_load = true." if one.how is Lateness.EAGER else "Load it when the worker starts."
    return told(
        code, one, Severity.MEDIUM, f"A job {one.how}: {one.name}", remedy, *evidence, key=f"{one.how.name}:{one.name}"
    )


def _key(code: Code, one: Import) -> tuple[str, str]:
    language = code.language(one)
    return language, one.name.partition(".")[0] if language == "python" else one.name


def _judged(code: Code, one: Import, execution: Execution) -> Finding | None:
    language, name = _key(code, one)
    shared = sharing(code, execution, one)
    if shared.truth is False or (language == "python" and name not in HEAVY):
        return None
    severity = Severity.INFO if one.optional else Severity.MEDIUM
    title = f"A job loads {name}, which no file loads at start"
    return told(code, one, severity, title, "Load it at the top of the file.", how_it_runs(shared), key=name)
