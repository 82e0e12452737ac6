"""A job is enqueued by a commit hook, and all tests that name it roll back, so that the hook never runs.

## Why it hurts
A test in a transaction that is rolled back never commits: the hook does not run, and what it hands to the queue, a
wrong argument or a missing import, is met in production first.

In the log: nothing, until the first commit in production.

## How it is found
Formula: fails if `transaction.on_commit` (or an enqueue that waits for the commit) enqueues a job, tests name that job
or the function that enqueues it (also in a dotted text, or by asking its view through Django's client: by path, by the
name of its route, or any where no file has routes), and each of those is in Django's `TestCase`, REST framework's
`APITestCase` or pytest's `django_db` without `transaction=True`, in a file that says nothing of commit hooks

Rails runs commit hooks in transactional tests since 5.0; below, no test in Ruby does without a transaction and
test_after_commit is not locked. Preview: that a test names a job does not say that it is
there to test the hook.

## When it is wrong
A base class in the application's own code runs the hooks.

## Confirm by hand
Break the hook's call on purpose: does a test fail?

## How to fix
Django: `with self.captureOnCommitCallbacks(execute=True):` around what is tested. pytest-django:
`django_capture_on_commit_callbacks(execute=True)`, or `@pytest.mark.django_db(transaction=True)`.

Risk: jobs that run in the test need their queue in a testing mode.

Undo: the test as it was.

## Unknown when
No test names the job or what enqueues it, or its base class or fixtures are not known; a Rails whose version is not
locked, or older than 5.0 with tests that may run hooks.

## Source
Django, Testing tools (`captureOnCommitCallbacks`); pytest-django, `django_db`; grosser/test_after_commit; Rails 5.0
release notes.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check, covers
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Code, Enqueue, Enqueues
from kiqdoctor.doctor.facts.code.hook_tests import HookTest, HookTests, Runs
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.rules import settled, told

RUNS_THEM = ">=5.0"
GEM = "test_after_commit"


@check("COD014", severity=Severity.LOW, preview=True)
def commit_hook_untested(
    code: Code, enqueues: Enqueues, tests: HookTests, packages: Packages | Missing
) -> Iterator[Verdict]:
    waiting = {(one.function, one.job): one for one in enqueues.sites if one.after_commit}
    found = [verdict for one in waiting.values() for verdict in _judged(code, one, tests, packages)]
    yield from found
    yield from settled(code, enqueues, found=any(isinstance(one, Finding) for one in found))
    yield Evidence("commit hooks", f"{len(waiting)} enqueue jobs", f"{counted(tests.files, 'file')} of tests")


def _judged(code: Code, enqueue: Enqueue, tests: HookTests, packages: Packages | Missing) -> Iterator[Verdict]:
    job = enqueue.job or "a job"
    if code.language(enqueue) == "ruby":
        yield _rails(code, enqueue, tests, packages)
        return
    words = {enqueue.job.rpartition(".")[2], code.functions[enqueue.function].name.rpartition(".")[2]} - {""}
    naming = [one for one in tests.tests if not words.isdisjoint(one.names)]
    never = next((one for one in naming if one.runs is Runs.NEVER), None)
    ran = next((one for one in naming if one.runs is Runs.RUN), None)
    if ran is not None:
        yield Evidence(f"tests of {job}", f"{ran.name}: they {ran.runs}", f"{ran.path}:{ran.line}")
    elif not naming:
        seen = f"none of {tests.files} files of tests names" if tests.files else "no tests were found that name"
        yield Unknown(f"{seen} {job} or what enqueues it; a test that does settles it")
    elif tests.partial:
        yield Unknown(tests.partial)
    elif (other := next((one for one in naming if one.runs is Runs.UNKNOWN), None)) is not None:
        yield Unknown(f"{other.name} names {job}, and its tests {other.runs} ({other.path}:{other.line})")
    elif never is not None:
        yield _finding(code, enqueue, never)
    else:
        one = naming[0]
        yield Evidence(f"tests of {job}", f"{one.name}: they {one.runs}", f"{one.path}:{one.line}")


def _finding(code: Code, enqueue: Enqueue, test: HookTest) -> Finding:
    title = f"A commit hook enqueues {enqueue.job}, and no test that names it runs commit hooks"
    remedy = "Write `with self.captureOnCommitCallbacks(execute=True):` around what the test does."
    seen = Evidence("tests", f"{test.name}: they {test.runs}", f"{test.path}:{test.line}")
    return told(code, enqueue, Severity.LOW, title, remedy, seen, key=enqueue.job)


def _rails(code: Code, enqueue: Enqueue, tests: HookTests, packages: Packages | Missing) -> Verdict:
    job = enqueue.job or "a job"
    locked = packages if isinstance(packages, Packages) else Packages()
    version = locked.version_of("ruby", "activerecord") or locked.version_of("ruby", "rails")
    if version and covers(RUNS_THEM, version):
        return Evidence(f"tests of {job}", f"Rails {version} runs commit hooks in transactional tests", "activerecord")
    if version and locked.find("ruby", GEM):
        return Evidence(f"tests of {job}", f"{GEM} runs commit hooks in transactional tests", "the lock file")
    if version and tests.rolled_back:
        title = f"A commit hook enqueues {job}, and tests under Rails {version} run no commit hooks"
        seen = Evidence("tests", f"{counted(tests.ruby, 'file')}, none without a transaction", "spec, test")
        return told(code, enqueue, Severity.LOW, title, f"Add {GEM}, or upgrade to Rails 5.", seen, key=enqueue.job)
    what = f"Rails {version} runs no commit hooks in transactional tests" if version else "no Active Record is locked"
    return Unknown(f"{what}, and tests in Ruby are not read; whether test_after_commit is used settles it")
