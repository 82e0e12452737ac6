"""Nobody is told when a job fails for good.

## Why it hurts
A job that used up its retries lies in the dead set until it is thrown away, and one that is neither retried nor kept
is gone at once. Where no handler and no reporter speaks, somebody notices when a customer does.

In the log: nothing but the error itself.

## How it is found
Formula: low if no known reporter of errors (Sentry, Honeybadger, Bugsnag, Rollbar, Airbrake, AppSignal, New Relic,
Datadog, Elastic APM, OpenTelemetry...) is locked for production, and the source sets no error handler, death handler,
or Celery's signal of failures; each job with `retry: false` and `dead: false` is then a finding too

Preview: on 15 real applications it found two, both true, and that is too few to say how often it is right.

## When it is wrong
A handler in a package of one's own, logs that somebody watches, or alerts on the dead set.

## Confirm by hand
Raise in a job on staging, and wait for somebody to be told.

## How to fix
`config.death_handlers << ->(job, error) { ... }`, or a reporter's package.

Risk: none.

Undo: delete the handler.

## Unknown when
No lock file could be read, files could not be parsed, or some classes of jobs have handlers of their own.

## Source
Sidekiq's wiki, Error Handling; `config.rb` (death_handlers, error_handlers). Not measured well enough for a verdict
that counts: an absence is weak evidence.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.code import Call, Calls, Code, Imports
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.rules import settled

REPORTERS = (
    "sentry", "raven", "honeybadger", "bugsnag", "rollbar", "airbrake", "appsignal", "newrelic", "ddtrace", "datadog",
    "elastic-apm", "opentelemetry", "scout-apm", "scout_apm", "raygun", "exception_notification", "solid_errors",
    "logfire", "govuk_app_config", "telebugs", "skylight", "errbit", "exception-track", "stackprof-sentry",
)  # fmt: skip
HANDLERS = ("error_handlers", "death_handlers", "on_thread_error")
OWN = ("sidekiq_retries_exhausted", "rescue_from", "after_discard")
"""Of one class of jobs."""
SIGNALS = ("celery.signals.task_failure",)
OPTIONS = "sidekiq_options"


@check("OBS001", severity=Severity.MEDIUM, preview=True)
def failures_unreported(code: Code, calls: Calls, imports: Imports, packages: Packages) -> Iterator[Verdict]:
    told = next((one for one in packages.all if one.production and one.name.startswith(REPORTERS)), None)
    if told is not None:
        yield Evidence("reporter", f"{told.name} {told.version}".strip(), f"{told.source}:{told.line}")
        return
    handler = _handler(code, calls, imports)
    if handler is not None:
        yield handler
        return
    if not code.jobs:
        yield NotApplicable("the application has no jobs")
        return
    if not packages.sources:
        yield Unknown("no lock file tells which packages are installed", "a lock file below PATH")
        return
    paths = {code.functions[job.function].place.path for job in code.jobs}
    own = [one for one in calls.sites if one.name in OWN and code.place(one).path in paths]
    if own:
        yield Unknown(f"some jobs see to their own failures ({code.place(own[0]).path}), and nothing does for all")
        return
    yield Finding(
        "application",
        "Nobody is told when a job fails: no reporter of errors, no error handler, no death handler",
        "Add config.death_handlers, a signal's handler, or a reporter.",
        (Evidence("packages looked at", str(len(packages.all)), packages.sources[0]),),
        Severity.MEDIUM.milder,
    )
    yield from (_lost(code, one) for one in calls.sites if _is_lost(one))
    yield from settled(code, calls, imports, found=True)


def _handler(code: Code, calls: Calls, imports: Imports) -> Evidence | None:
    handled = [one for one in calls.sites if not {*one.name.split(".")}.isdisjoint(HANDLERS)]
    signalled = [one for one in imports.sites if one.name.startswith(SIGNALS)]
    for site, name in (*((one, one.name) for one in handled), *((one, one.name) for one in signalled)):
        return Evidence("handler", name, f"{code.place(site).path}:{code.place(site).line}")
    return None


def _is_lost(call: Call) -> bool:
    said = {one.name: one.text for one in call.arguments}
    return call.name.endswith(OPTIONS) and said.get("retry") in {"false", "0"} and said.get("dead") == "false"


def _lost(code: Code, call: Call) -> Finding:
    place = code.place(call)
    return Finding(
        f"file:{place.path}",
        "Jobs that fail here are gone at once, and nobody is told: retry: false, dead: false",
        "Write dead: true, or report the error.",
        (Evidence("options", "retry: false, dead: false", f"{place.path}:{place.line}"),),
        Severity.MEDIUM.milder,
        location=Location(place.path, place.line, place.column),
    )
