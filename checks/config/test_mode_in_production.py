"""A queue library is switched into a mode of its tests where production runs it too.

## Why it hurts
In those modes nothing is enqueued: a job is put into an array and forgotten, or it runs within the request, without
retries, and a slow one holds the page. The queues look healthy, for they stay empty.

In the log: `running with --testing`-like lines at best; mostly nothing, and no line of any worker.

## How it is found
Formula: fails if `sidekiq/testing` is required, or `Sidekiq.testing!`, `Sidekiq::Testing.fake!` or `inline!` is called,
or Celery's task_always_eager or Huey's immediate is on, or kiqdoctor.testing's modes are entered, and no condition
around it says test or development, and no setting of production takes it back

Conditions are the groups of a Gemfile, `Rails.env`, DEBUG and TESTING, `"pytest" in sys.modules` and their like, and
variables that the files of production set. Active Job's adapters :inline, :async and :test count where Sidekiq is
locked; they are high.

## When it is wrong
A file that only tests load and that lies among the production code under a name that does not say so.

## Confirm by hand
In production's console: `Sidekiq::Testing.enabled?`, `ActiveJob::Base.queue_adapter`, `app.conf.task_always_eager`.

## How to fix
Put it into the helper of the tests, or under `if Rails.env.test?`; in a Gemfile into `group :test`.

Risk: jobs that ran in line are enqueued from now on, and a worker has to be there.

Undo: the old line.

## Unknown when
A variable or a function decides, of which no file says what it does in production; a file that speaks of it cannot be
parsed.

## Source
lib/sidekiq/testing.rb; Sidekiq's changes at 8.1.1; Celery's configuration (task_always_eager); Active Job's adapters.
"""

import re
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.config import Switch, TestModes
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.regex import regex

TRIAL = regex(r"(?<![a-z])(?:test|tests|testing|spec|pytest|unittest|dev|develop|development|debug|local|ci)(?![a-z])")
TOOLS = regex(
    r"(?:^|[/_.-])(?:spec_helper|rspec|minitest|cucumber|capybara|cypress|playwright|factory_?bot)(?:[/_.-]|$)"
    r"|^(?:bench|benchmarks?|perf)/"
)
"""Of a path: what only tests load, and folders of what runs in a process of its own, by hand."""
PRODUCTION = regex(r"(?<![a-z])(?:prod|production|live)(?![a-z])")
BASES = frozenset(
    {"settings", "base", "common", "defaults", "default", "__init__", "celery", "celeryconfig", "config", "conf"}
    | {"production", "prod", "app", "celery_app", "celeryapp", "worker", "tasks"}
)
"""Names of modules that production loads, or that what it loads is built on."""
BESIDE = ("db/", "script/", "scripts/", "bin/", "lib/tasks/", "tasks/", "features/")
"""Folders of what runs in a process of its own, by hand."""
ADAPTER = "queue_adapter"


@check("CFG004", severity=Severity.CRITICAL)
def test_mode_in_production(modes: TestModes, packages: Packages | Missing) -> Iterator[Verdict]:
    sidekiq = isinstance(packages, Packages) and bool(packages.find("ruby", "sidekiq"))
    for one in modes.all:
        if one.what.startswith(ADAPTER) and not sidekiq:
            continue
        yield from _judged(one, modes)
    for path, reason in modes.unreadable:
        yield Unknown(f"{path} speaks of a test mode and was not read: {reason}")
    yield Evidence("files looked at", str(modes.files), "*.rb, *.py, Gemfile")


def _judged(one: Switch, modes: TestModes) -> Iterator[Verdict]:
    where = f"{one.path}:{one.line}"
    if sound := _sound(one, modes):
        yield Evidence(one.what, sound, where)
    elif reason := _untold(one):
        yield Unknown(f"{where}: {one.what}, and {reason}")
    else:
        yield _finding(one)


def _sound(one: Switch, modes: TestModes) -> str:
    """Why production is not in that mode; "" where nothing says so."""
    if one.stage == "trial":
        return "a file for tests or development"
    if one.on is False:
        return f"off: {one.decided_by}" if one.decided_by else "off"
    if one.path.startswith(BESIDE) or TOOLS.search(one.path):
        return "run by tests or by hand, in a process of its own"
    if guard := next((guard for guard in one.guards if _is_trial(guard)), ""):
        return f"only under: {guard}"
    if one.on is None and TRIAL.search(one.decided_by.lower()):
        return f"only under: {one.decided_by}"
    name = _name(one)
    back = next(
        (other for other in modes.all if other.on is False and _name(other) == name and _of_production(other)), None
    )
    return f"taken back in {back.path}:{back.line}" if back is not None else ""


def _is_trial(guard: str) -> bool:
    """Whether a condition keeps production out."""
    plain = re.sub(r"([a-z])([A-Z])", r"\1_\2", guard).lower()
    negated = plain.startswith(("not ", "!")) or "!=" in plain
    if PRODUCTION.search(plain):
        return negated and not TRIAL.search(plain.replace("_", " "))
    return not negated and bool(TRIAL.search(plain.replace("_", " ")))


def _of_production(one: Switch) -> bool:
    words = " ".join((one.path, *one.guards)).lower()
    return one.stage == "production" or bool(PRODUCTION.search(words.replace("_", " ")))


def _name(one: Switch) -> str:
    """What is set, however it is spelt."""
    name = one.what.partition(" = ")[0].rpartition(".")[2].lower()
    return name.removeprefix("celery_").removeprefix("task_")


def _untold(one: Switch) -> str:
    """Why it cannot be told whether production is in that mode."""
    if one.on is None:
        return f"run time decides: {one.decided_by or ', '.join(one.guards)}"
    inside = next((guard for guard in one.guards if guard.startswith("def ")), "")
    if inside:
        return f"who calls `{inside}` was not followed"
    conditions = [guard for guard in one.guards if not guard.startswith(("class ", "configure_", "group "))]
    if conditions and not one.decided_by and not any(map(_says_production, conditions)):
        return f"what `{conditions[0]}` is in production is not known"
    stem = one.path.rpartition("/")[2].partition(".")[0]
    setting = one.path.endswith(".py") and one.what.partition(" = ")[0].isupper()
    if setting and not one.heirs:
        return "production's own settings, which may take it back, are not in the tree"
    if setting and stem not in BASES and not _of_production(one):
        return "whether production loads these settings is not known"
    return ""


def _says_production(guard: str) -> bool:
    """Production is named, or all but tests are meant."""
    plain = guard.lower()
    return bool(PRODUCTION.search(plain)) or (plain.startswith("not ") and bool(TRIAL.search(plain)))


def _finding(one: Switch) -> Finding:
    adapter = one.what.startswith(ADAPTER)
    gemfile = one.path.endswith("Gemfile")
    evidence = [Evidence("switch", one.what, f"{one.path}:{one.line}")]
    evidence += [Evidence("under", guard) for guard in one.guards]
    if one.decided_by:
        evidence.append(Evidence("decided by", one.decided_by))
    return Finding(
        f"file:{one.path}",
        f"{one.what} holds in production: jobs {'run in line' if _in_line(one.what) else 'go nowhere'}",
        "Put the gem into `group :test`." if gemfile else "Move it into the tests' own helper, or take it out.",
        tuple(evidence),
        Severity.HIGH if adapter else None,
        location=Location(one.path, one.line),
        key=_name(one),
    )


def _in_line(what: str) -> bool:
    return "inline" in what or "eager" in what.lower() or "async" in what
