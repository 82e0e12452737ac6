"""A job catches the end of its process, and goes on as if nothing had been asked.

## Why it hurts
At the end of its grace a worker raises `Sidekiq::Shutdown`, `SystemExit` or `KeyboardInterrupt` in its threads. A
clause that catches everything takes it for an error of the job: the job is called done or failed though it was cut off
in the middle, or runs on until the process is killed, and nobody gives it back to its queue.

In the log: `Shutdown` as an ordinary error of a job; "Terminating" and then nothing until the kill.

## How it is found
Formula: fails if a job leads to `except:`, `except BaseException`, `rescue Exception`, `rescue Sidekiq::Shutdown` (also
by a constant or in a list) that does not raise again on every path, or to `finally` or `ensure` that leaves by return,
break or continue; low where all that the clause guards is over in a moment: a text that is taken apart, one thing that
is deleted or closed; and where Python's clause names KeyboardInterrupt alone, which is raised on the main thread only,
by a signal that Celery's, RQ's and Dramatiq's workers keep from the processes that run jobs; and in jobs of
APScheduler, Delayed Job, GoodJob, Solid Queue and Shoryuken, into whose threads nothing is raised

A clause that ends the process raises too, and one that raises whatever is no `Exception`. Not told: a clause after one
that raises the end again, one around nothing but Python's own quick functions or an import, and `except SystemExit`
around the reading of a command line, which exits by itself.

## When it is wrong
A clause that hands the exception to somebody who raises it later, such as a future.

## Confirm by hand
Read the clause: is there a way through it without `raise`?

## How to fix
Catch `StandardError` or `Exception`, or write `raise` at the end of the clause; take `return` out of `ensure`.

Risk: what was silent until now is reported.

Undo: the clause as it was.

## Unknown when
Nothing was found and files could not be parsed.

## Source
Sidekiq 2.9.0's changes (Shutdown is raised in workers) and `lib/sidekiq/processor.rb`; Python, "BaseException";
dramatiq's `Interrupt` is a BaseException too.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Finding, Missing, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Code, Ending, Execution, Handler, Handlers
from kiqdoctor.doctor.rules import led_to, settled, told

ENDS = {
    "python": {"BaseException", "SystemExit", "KeyboardInterrupt", "dramatiq.middleware.Shutdown"},
    "ruby": {"Exception", "Object", "BasicObject", "Sidekiq::Shutdown", "Interrupt", "SignalException"},
}
BY_HAND = {"KeyboardInterrupt"}
UNTOLD = {"apscheduler", "delayed_job", "good_job", "solid_queue", "shoryuken"}
"""Whose workers raise nothing into a job when they stop: they wait, and then end, or kill the thread."""
NARROWER = {"python": "except Exception", "ruby": "rescue StandardError"}


@check("COD009", severity=Severity.HIGH)
def swallowed_shutdown(code: Code, handlers: Handlers, execution: Execution | Missing) -> Iterator[Verdict]:
    found = [
        _finding(code, one, execution) for one in led_to(code, handlers.sites) if _swallows(code.language(one), one)
    ]
    yield from found
    yield from settled(code, handlers, found=bool(found))


def _swallows(language: str, clause: Handler) -> bool:
    ends = not clause.catches or not ENDS[language].isdisjoint(clause.catches)
    return clause.final or (ends and clause.ending is not Ending.RAISES and not clause.spares)


def _finding(code: Code, clause: Handler, execution: Execution | Missing) -> Finding:
    language = code.language(clause)
    caught = ", ".join(clause.catches) or "everything"
    if clause.final:
        word = {"python": "finally", "ruby": "ensure"}[language]
        title, remedy = f"{word} leaves, and with it goes the end of the process", f"Take what leaves out of {word}."
    else:
        how = "raises it on some paths only" if clause.ending is Ending.SOMETIMES else "never raises it again"
        title = f"A clause catches {caught}, the end of the process too, and {how}"
        remedy = f"Write {NARROWER[language]}, or raise on every path."
    by_hand = language == "python" and ENDS[language].intersection(clause.catches) == BY_HAND
    severity = (
        Severity.LOW
        if _untold(code, clause, execution) or ((clause.brief or by_hand) and not clause.final)
        else Severity.HIGH
    )
    return told(code, clause, severity, title, remedy, key="final" if clause.final else caught)


def _untold(code: Code, clause: Handler, execution: Execution | Missing) -> bool:
    job = code.job(clause)
    ways = execution.of(job) if job is not None and isinstance(execution, Execution) else ()
    runs = {one.adapter or one.library for one in ways} or {job.library if job is not None else ""}
    return runs <= UNTOLD
