"""Jobs change state that all threads of their process see, under no lock.

## Why it hurts
Two jobs that run at a time overwrite each other's values, count wrong, or see each other's data; a list that a class
holds grows as long as the process lives.

In the log: nothing, or another customer's data.

## How it is found
Formula: fails if a job leads to a change, under no lock, of a global, a class attribute, a class variable, a variable
of a class, what a constant holds (Ruby), or a mutable default argument, and its process runs several jobs at a time;
low where a value is made only where it is not there yet; one severity down where nothing tells how jobs run

Preview: on eight applications it had one finding above low, and that was false (a value made where it is not there
yet, in another method than the one that asks); 13 were low. Since then Ruby's constants are followed too.

## When it is wrong
A value that is the same each time, or that one job alone writes; a lock that the caller holds.

## Confirm by hand
Follow the functions that the evidence names; who else reads what is written?

## How to fix
Keep it in the job's own variables or hand it on; else hold a lock around every change, or keep it in
`threading.local()` (Ruby: `Mutex#synchronize`, `Concurrent::Map`).

Risk: a lock around slow work makes threads wait.

Undo: the change as it was.

## Unknown when
Nothing was found and files could not be parsed.

## Source
Sidekiq wiki, Problems and Troubleshooting ("thread-safe libraries") and Best Practices; Sidekiq, `SharedWorkState`.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Finding, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Code, Execution
from kiqdoctor.doctor.facts.code.state import Change, StateWrite, StateWrites
from kiqdoctor.doctor.rules import how_it_runs, led_to, shared_only, sharing, told


@check("COD002", severity=Severity.HIGH, preview=True)
def shared_mutable_state(code: Code, writes: StateWrites, execution: Execution) -> Iterator[Verdict]:
    found = (_judged(code, one, execution) for one in led_to(code, writes.sites))
    yield from shared_only(code, execution, found, writes)


def _judged(code: Code, write: StateWrite, execution: Execution) -> Finding | None:
    shared = sharing(code, execution, write)
    if shared.truth is False:
        return None
    severity = Severity.LOW if write.change is Change.ONCE else Severity.HIGH
    title = f"A job {write.change} {write.name}, {write.holder} that all threads share, under no lock"
    remedy = f"Hold a lock around each change of {write.name}, or keep it in the job."
    return told(
        code, write, severity if shared.truth else severity.milder, title, remedy, how_it_runs(shared), key=write.name
    )
