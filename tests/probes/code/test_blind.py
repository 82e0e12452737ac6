"""Nothing found is only healthy where something was looked at."""

from pathlib import Path

import pytest
from source import application

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor import Evidence, NotApplicable, Severity, check
from kiqdoctor.doctor.examine import judge
from kiqdoctor.doctor.facts.code import Code, Execution, Job, Model, Way
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.verdict import Finding
from kiqdoctor.probes.code.code import code

JOB = "from celery import shared_task\n@shared_task\ndef f(): pass\n"
RUBY = "class J\n  include Sidekiq::Job\n  def perform; end\nend\n"


def locked(*names: str, groups: tuple[str, ...] = ("default",)) -> Packages:
    return Packages(
        tuple(Package("python" if one != "sidekiq" else "ruby", one, "1", "lock", groups=groups) for one in names)
    )


@pytest.mark.parametrize(
    ("files", "packages", "blind"),
    [
        ({"a_DOT_py": "x = 1\n"}, locked("celery"), "celery is locked, and no job was recognised"),
        ({"a_DOT_py": "x = 1\n"}, locked("rq", "django-rq", "huey"), "rq, huey are locked, and no job was recognised"),
        ({"a_DOT_py": JOB}, locked("celery", "rq"), ""),
        ({"a_DOT_py": JOB}, locked("sidekiq"), "sidekiq is locked, and no job was recognised"),
        ({"a_DOT_rb": RUBY}, locked("sidekiq"), ""),
        ({"a_DOT_py": "x = 1\n"}, locked("celery", groups=("docs",)), ""),
        ({"a_DOT_py": "x = 1\n"}, locked("kiqdoctor", "requests"), ""),
    ],
)
def test_a_locked_library_without_a_job(tmp_path: Path, files: dict[str, str], packages: Packages, blind: str) -> None:
    assert code.read(application(tmp_path, **files), packages).blind == blind


def test_much_that_could_not_be_read_may_hold_jobs(tmp_path: Path) -> None:
    broken = code.read(application(tmp_path / "a", a_DOT_py="x = 1\n", b_DOT_py="def f(:\n"), locked())
    few = code.read(
        application(tmp_path / "b", b_DOT_py="def f(:\n", **{f"a{n}_DOT_py": "x = 1\n" for n in range(10)}), locked()
    )

    assert broken.blind.startswith("a source file could not be read, and no job was recognised in the others")
    assert not few.blind


@check("XXX901", severity=Severity.LOW)
def passes(code: Code) -> list[Evidence]:
    return []


@check("XXX902", severity=Severity.LOW)
def does_not_apply(code: Code) -> list[NotApplicable]:
    return [NotApplicable("it has no jobs")]


@check("XXX903", severity=Severity.LOW)
def fails(code: Code) -> list[Finding]:
    return [Finding("code:f", "it is wrong", "Write x.", ())]


def test_no_check_of_code_passes_blind_and_what_was_found_stands() -> None:
    blind = Snapshot.of(Code(files=3, blind="celery is locked"))
    results = [judge(one, blind, SYSTEM) for one in (passes, does_not_apply, fails)]

    assert [one.outcome for one in results] == [Outcome.UNKNOWN, Outcome.UNKNOWN, Outcome.FAIL]
    assert "celery is locked" in (results[0].reason or "")
    assert judge(passes, Snapshot.of(Code(files=3)), SYSTEM).outcome is Outcome.PASS


def test_a_pass_says_what_was_looked_at() -> None:
    seen = Code(files=3, lines=90, jobs=(Job("f", 0, "rq"), Job("g", 0, "rq")), unparsed=(("a.py", "x"),), unfollowed=2)
    told = [one.value for one in judge(passes, Snapshot.of(seen), SYSTEM).evidence]

    assert told == ["3 source files, 90 lines, 2 jobs (2 rq), 1 file not parsed, 2 calls of jobs not followed"]
    execution = Execution((Way("rq", Model.FORK_PER_JOB, "itself"),))
    assert Snapshot.of(seen, execution).seen == (told[0], "rq: a fork for each job (itself)")
