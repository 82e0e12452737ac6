"""A job changes what belongs to its whole process: all other threads live with it.

## Why it hurts
The working directory, the environment, the locale, `sys.stdout`, an SDK's `api_key` exist once a process. While one job
has set them, every other thread writes into its folder and charges its tenant. `Time.zone` and `I18n.locale` belong to
the thread, and stay as they were left for the next job that it runs.

In the log: nothing, or files that are "missing" now and then.

## How it is found
Formula: fails if a job leads to such a change and its process runs several jobs at a time; medium where nothing tells
how jobs run; medium for what stays with the thread; low for `random.seed`, filters of warnings, and an SDK's key that
is set to the same each time (a literal, the environment, the configuration)

A change that is undone at the end of a block (`contextlib.chdir`, `redirect_stdout`, `Dir.chdir` with a block) is seen
by all threads for as long as the block runs, and told. What is given to one call or one block (`cwd=`, `env=`,
`Time.use_zone`, `I18n.with_locale`, `decimal.localcontext`) is not, nor a zone or locale in a job of Active Job, which
puts back what was there before each job.

## When it is wrong
A value that is the same each time it is set.

## Confirm by hand
Follow the functions that the evidence names; who else reads that value?

## How to fix
Hand it to who needs it: `cwd=` and `env=` of a subprocess, a client of its own in place of `api_key`, `Time.use_zone`.

Risk: who silently relied on the change no longer gets it.

Undo: the assignment in its old place.

## Unknown when
Nothing was found and files could not be parsed.

## Source
CPython issues 83556 and 50896; paperclip 1709; stripe-python, per-request `api_key`; Rails, `Time.use_zone`; what a
free-threaded build changes of `warnings`: Python 3.14, `context_aware_warnings`.
"""

from collections.abc import Iterator
from itertools import chain

from kiqdoctor.doctor import Finding, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Call, Calls, Code, Execution, Site, Write, Writes
from kiqdoctor.doctor.rules import how_it_runs, led_to, shared_only, sharing, told

CALLS = {
    "os.chdir": "cwd= of what is started",
    "os.fchdir": "cwd= of what is started",
    "contextlib.chdir": "cwd= of what is started",
    "os.umask": "os.chmod of the file",
    "os.putenv": "env= of what is started",
    "os.unsetenv": "env= of what is started",
    "os.environ.update": "env= of what is started",
    "os.environ.setdefault": "env= of what is started",
    "os.environ.pop": "env= of what is started",
    "os.environ.clear": "env= of what is started",
    "locale.setlocale": "babel, which is given the locale",
    "socket.setdefaulttimeout": "timeout= of the call",
    "time.tzset": "zoneinfo.ZoneInfo",
    "contextlib.redirect_stdout": "stdout= or file= of what writes",
    "contextlib.redirect_stderr": "stderr= or file= of what writes",
    **dict.fromkeys(("Dir.chdir", "FileUtils.cd", "FileUtils.chdir"), "chdir: of what is started"),
    "File.umask": "File.chmod of the file",
    "ENV.update": "the environment as the first argument of what is started",
    "ENV.store": "the environment as the first argument of what is started",
    "ENV.delete": "the environment as the first argument of what is started",
    "ENV.replace": "the environment as the first argument of what is started",
    "ENV.merge!": "the environment as the first argument of what is started",
    "ENV.clear": "the environment as the first argument of what is started",
}
MILD = {
    "warnings.simplefilter": "the filter where the process starts",
    "warnings.filterwarnings": "the filter where the process starts",
    "warnings.catch_warnings": "the filter where the process starts",
    "random.seed": "random.Random(seed)",
    "numpy.random.seed": "numpy.random.default_rng(seed)",
}
WRITES = {
    "os.environ": "env= of what is started",
    "sys.stdout": "file= of what writes",
    "sys.stderr": "file= of what writes",
    "sys.argv": "arguments of the function",
    "ENV": "the environment as the first argument of what is started",
    "$stdout": "an IO of its own",
    "$stderr": "an IO of its own",
}
THREADS = {
    "Time.zone": "Time.use_zone with a block",
    "I18n.locale": "I18n.with_locale with a block",
}
KEYS = ("api_key", "api_base", "api_secret", "api_version", "access_token", "organization", "auth_token")
RESOURCE = "ActiveResource::Base"
PUTS_BACK = "activejob"
"""Active Job runs each job in I18n.with_locale and Time.use_zone, which put back what was there."""


@check("COD007", severity=Severity.HIGH)
def process_global_mutation(code: Code, calls: Calls, writes: Writes, execution: Execution) -> Iterator[Verdict]:
    found = chain(
        (_called(code, one, execution) for one in led_to(code, calls.sites)),
        (_written(code, one, execution) for one in led_to(code, writes.sites)),
    )
    yield from shared_only(code, execution, found, calls, writes)


def _called(code: Code, call: Call, execution: Execution) -> Finding | None:
    if call.name in MILD:
        return _finding(code, call, call.name, MILD[call.name], Severity.LOW, execution)
    if call.name.endswith(".umask") and not call.arguments:
        return None  # Ruby's way of reading it
    if call.name in CALLS:
        return _finding(code, call, call.name, CALLS[call.name], Severity.HIGH, execution)
    return None


def _written(code: Code, write: Write, execution: Execution) -> Finding | None:
    if write.locked:
        return None
    if write.name in THREADS:
        job = code.job(write)
        if job is not None and job.library == PUTS_BACK:
            return None
        return _finding(code, write, write.name, THREADS[write.name], Severity.MEDIUM, execution)
    owner, _, last = write.name.rpartition(".")
    client = last in KEYS and owner.count(".") == 0 and bool(owner) and "(" not in owner and "?" not in owner
    if write.name in WRITES:
        instead = WRITES[write.name]
    elif client or write.made_by == RESOURCE:
        instead = "a client that is given it, or an argument of the request"
    else:
        return None
    same = write.fixed and last in KEYS
    return _finding(code, write, write.name, instead, Severity.LOW if same else Severity.HIGH, execution)


def _finding(
    code: Code, site: Site, name: str, instead: str, severity: Severity, execution: Execution
) -> Finding | None:
    shared = sharing(code, execution, site)
    if shared.truth is False:
        return None
    if shared.truth is None and severity is Severity.HIGH:
        severity = Severity.MEDIUM
    whose = "stays with the thread, for its next job" if name in THREADS else "belongs to all threads of the process"
    return told(
        code, site, severity, f"A job sets {name}, which {whose}", f"Write {instead}.", how_it_runs(shared), key=name
    )
