"""A time limit that strikes wherever the job happens to be: it breaks what it interrupts, or cannot work in a thread.

## Why it hurts
Ruby's `Timeout.timeout` and CPython's asynchronous exceptions are raised between any two instructions: inside `ensure`,
while a connection is half read, while a lock is taken. The next job gets that connection, and another user's answer.
Python's signals cannot be used off the main thread at all, and jobs of threaded workers run on others.

In the log: `ValueError: signal only works in main thread of the main interpreter`; later `Timeout::Error`, protocol
errors and answers to somebody else's question.

## How it is found
Formula: fails if a job leads to `Timeout.timeout` or `PyThreadState_SetAsyncExc`, in whatever wrapper; or, where jobs
run in threads, to `signal.alarm`, `setitimer`, `signal` or a decorator that uses them; low where nothing tells how
they run

What a job leads to is followed through the application's own functions; the finding names the way there.

## When it is wrong
A block that does nothing but compute, and is thrown away when it is interrupted, is told too.

## Confirm by hand
Follow the functions that the evidence names.

## How to fix
Give each wait a limit of its own: `read_timeout`, `timeout=`, `statement_timeout`. For a whole job kiqdoctor's runtime
has `timeout=` with `current().checkpoint()`, Sidekiq 7.3 iterable jobs (`Sidekiq::IterableJob`).

Risk: work that was cut off in the middle now runs to the next limit.

Undo: the wrapper in its old place.

## Unknown when
Nothing was found and files could not be parsed.

## Source
Sidekiq wiki, Problems and Troubleshooting ("never use Timeout"); Mike Perham, "Timeout: Ruby's most dangerous API";
Python's `signal` (only the main thread) and `PyThreadState_SetAsyncExc`.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Finding, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Call, Calls, Code, Execution, Shape
from kiqdoctor.doctor.rules import how_it_runs, led_to, settled, sharing, told

ANYWHERE = {
    "Timeout.timeout": "read_timeout or open_timeout of the client, or an iterable job that stops between two steps",
    "func_timeout.func_timeout": "timeout= of the call that waits",
    "func_timeout.func_set_timeout": "timeout= of the call that waits",
    "stopit.ThreadingTimeout": "timeout= of the call that waits",
    "stopit.threading_timeoutable": "timeout= of the call that waits",
}
RAISED = "PyThreadState_SetAsyncExc"
SIGNALS = {"signal.alarm", "signal.setitimer", "signal.signal"}
WRAPPERS = {
    "timeout_decorator.timeout",
    "wrapt_timeout_decorator.timeout",
    "interruptingcow.timeout",
    "stopit.SignalTimeout",
    "stopit.signal_timeoutable",
}
SWITCH = "use_signals"


@check("COD004", severity=Severity.HIGH)
def async_timeout(code: Code, calls: Calls, execution: Execution) -> Iterator[Verdict]:
    found = [one for site in led_to(code, calls.sites) if (one := _judged(code, site, execution)) is not None]
    yield from found
    yield from settled(code, calls, found=bool(found))


def _judged(code: Code, call: Call, execution: Execution) -> Finding | None:
    if call.name in ANYWHERE or call.name.rpartition(".")[2] == RAISED:
        native = ANYWHERE.get(call.name, "a flag that the job looks at between two steps")
        title = f"{call.name} interrupts a job wherever it happens to be"
        return told(code, call, Severity.HIGH, title, f"Write {native} in its place.", key=call.name)
    if call.name not in SIGNALS and not (call.name in WRAPPERS and _by_signals(call)):
        return None
    shared = sharing(code, execution, call)
    if shared.truth is False:
        return None  # the job runs on its process' main thread
    severity = Severity.HIGH if shared.truth else Severity.LOW
    title = f"{call.name} works on the main thread only, and a job leads to it"
    remedy = f"Write {SWITCH}=False." if call.name in WRAPPERS else "Write timeout= at the call that waits."
    return told(code, call, severity, title, remedy, how_it_runs(shared), key=call.name)


def _by_signals(call: Call) -> bool:
    return not any(one.name == SWITCH and one.shape is Shape.FLAG and one.text == "False" for one in call.arguments)
