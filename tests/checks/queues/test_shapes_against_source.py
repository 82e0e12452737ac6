"""QUE006 and QUE021 of waiting jobs and a tree: what a change would break, told before it is deployed."""

from pathlib import Path

import pytest
from examining import recorded
from jobs import job, sampled
from source import application, looked

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.queues import Place, Sample
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.reporting import examination
from kiqdoctor.probes.queues.payloads import sample

IN_RUBY = "class SendMail\n  include Sidekiq::Job\n  def perform{}\n    puts 1\n  end\nend\n"
IN_PYTHON = "from kiqdoctor import job\n@job(name='SendMail')\ndef send{}:\n  print(1)\n"


def waiting(*jobs: Sample, name: str = "queue:default") -> Snapshot:
    if name.startswith("queue:"):
        return sampled(Place(name, len(jobs), jobs))
    return sampled(Place(name, len(jobs), others=jobs))


def beside(root: Path, snapshot: Snapshot, check: str = "QUE021", **written: str) -> Result:
    return diagnose(check, looked(application(root, **written), snapshot.with_(Packages())))


def ruby(root: Path, parameters: str, *jobs: Sample, name: str = "queue:default") -> Result:
    return beside(root, waiting(*jobs, name=name), app__j_DOT_rb=IN_RUBY.format(parameters))


def python(root: Path, parameters: str, *jobs: Sample) -> Result:
    return beside(root, waiting(*jobs), shop_DOT_py=IN_PYTHON.format(parameters))


def of(given: int, *named: str) -> Sample:
    return job(given, given=given, named=named)


@pytest.mark.parametrize(
    ("parameters", "one"),
    [
        ("(user, account)", of(1)),
        ("(user)", of(2)),
        ("", of(1)),
        ("(user, account, locale = nil)", of(1)),
        ("(user, notify:)", of(1)),
        ("(user, notify: true)", of(1, "loud")),
    ],
)
def test_ruby_s_faults(tmp_path: Path, parameters: str, one: Sample) -> None:
    [found] = ruby(tmp_path, parameters, one).findings

    assert (found.severity, found.finding.subject) == ("high", "job:SendMail")
    assert found.finding.location is not None
    assert (found.finding.location.path, found.finding.location.line) == ("app/j.rb", 3)


@pytest.mark.parametrize(
    ("parameters", "one"),
    [
        ("(user, account)", of(2)),
        ("(user, account = nil)", of(1)),
        ("(*all)", of(7)),
        ("(...)", of(7)),
        ("(user, *)", of(1)),
        ("(user, notify: true)", of(1, "notify")),
        ("(user, **rest)", of(1, "loud")),
        ("(user, account)", job(1, given=None)),
    ],
)
def test_ruby_s_twins(tmp_path: Path, parameters: str, one: Sample) -> None:
    assert ruby(tmp_path, parameters, one).outcome is Outcome.PASS


@pytest.mark.parametrize("place", ["schedule", "retry"])
def test_jobs_of_sets_wait_too(tmp_path: Path, place: str) -> None:
    assert ruby(tmp_path, "(user, account)", of(1), name=place).outcome is Outcome.FAIL


def test_the_dead_wait_for_nothing(tmp_path: Path) -> None:
    assert ruby(tmp_path, "(user, account)", of(1), name="dead").outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("parameters", "one"),
    [
        ("(user, account)", of(1)),
        ("(user)", of(2)),
        ("(user, *, notify)", of(1)),
        ("(user)", of(1, "loud")),
        ("(user)", of(1, "user")),
    ],
)
def test_python_s_faults(tmp_path: Path, parameters: str, one: Sample) -> None:
    assert [found.severity for found in python(tmp_path, parameters, one).findings] == ["high"]


@pytest.mark.parametrize(
    ("parameters", "one"),
    [
        ("(user, account=None)", of(1)),
        ("(user, account)", of(1, "account")),
        ("(user, *, notify)", of(1, "notify")),
        ("(user, **rest)", of(1, "loud")),
        ("(*all)", of(5)),
    ],
)
def test_python_s_twins(tmp_path: Path, parameters: str, one: Sample) -> None:
    assert python(tmp_path, parameters, one).outcome is Outcome.PASS


def test_what_a_decorator_of_its_own_makes_of_it_is_not_told(tmp_path: Path) -> None:
    own = "def with_tenant(f):\n  return f\n"
    text = f"from kiqdoctor import job\n{own}@job(name='SendMail')\n@with_tenant\ndef s(a, b):\n  pass\n"

    assert beside(tmp_path, waiting(of(1)), shop_DOT_py=text).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("raw", "given", "named"),
    [
        (b'{"class":"A","args":[1,2],"jid":"a"}', 2, ()),
        (b'{"class":"A","args":[1],"jid":"a","kiq_keywords":{"to":1}}', 1, ("to",)),
        (b'{"class":"A","args":5,"jid":"a"}', None, ()),
        (
            (
                b'{"class":"Sidekiq::ActiveJob::Wrapper","wrapped":"A","jid":"a","args":[{"arguments":[1,{"to":2,'
                b'"_aj_ruby2_keywords":["to"]}]}]}'
            ),
            1,
            ("to",),
        ),
        (
            (
                b'{"class":"Sidekiq::ActiveJob::Wrapper","wrapped":"A","jid":"a","args":[{"arguments":[1,{"to":2,'
                b'"_aj_symbol_keys":["to"]}]}]}'
            ),
            None,
            (),
        ),
    ],
)
def test_how_arguments_lie_in_a_payload(raw: bytes, given: int | None, named: tuple[str, ...]) -> None:
    one = sample(raw)

    assert (one.given, one.named) == (given, named)


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("Payments::ChargeJob", Outcome.PASS),
        ("Shop::Payments::ChargeJob", Outcome.PASS),
        ("Billing::ChargeJob", Outcome.FAIL),
    ],
)
def test_a_class_that_moved_to_another_module_is_another(tmp_path: Path, name: str, outcome: Outcome) -> None:
    jobs = "module Payments\n  class ChargeJob\n    include Sidekiq::Job\n    def perform; end\n  end\nend\n"
    other = "module Billing\n  class Invoice\n    def total; end\n  end\nend\n"
    found = beside(tmp_path, waiting(job(1, job_class=name)), "QUE006", app__a_DOT_rb=jobs, app__b_DOT_rb=other)

    assert found.outcome is outcome


def test_a_recording_is_judged_beside_the_tree_that_is_named(tmp_path: Path) -> None:
    """The tree of the recording has the job, as it was."""
    file = recorded(waiting(of(1)), tmp_path / "production.json")
    application(tmp_path / "new", Gemfile="", app__j_DOT_rb=IN_RUBY.format("(user, account)"))
    asked = Asked(tmp_path / "new", select=("QUE006", "QUE021"), replay=file)

    before = {one.check.id: one.outcome.value for one in examination(asked).results}
    report = examination(Asked(tmp_path / "new", named=True, select=("QUE006", "QUE021"), replay=file))

    assert before == {"QUE006": "pass", "QUE021": "pass"}
    assert {one.check.id: one.outcome.value for one in report.results} == {"QUE006": "pass", "QUE021": "fail"}
    assert report.target.path == str(tmp_path / "new")
    assert any("those of PATH" in note for note in report.notes)


def test_and_a_class_that_the_tree_has_no_more(tmp_path: Path) -> None:
    file = recorded(waiting(of(1)), tmp_path / "production.json")
    application(tmp_path / "new", app__j_DOT_rb=IN_RUBY.format("(user)").replace("SendMail", "Deliver"))

    report = examination(Asked(tmp_path / "new", named=True, select=("QUE006",), replay=file))

    assert [one.severity for one in report.reported] == ["medium"]


def test_of_the_live_half_alone_no_tree_is_read(tmp_path: Path) -> None:
    file = recorded(waiting(of(1)), tmp_path / "production.json")
    application(tmp_path / "new", app__j_DOT_rb=IN_RUBY.format("(user, account)"))

    report = examination(Asked(tmp_path / "new", named=True, live=True, select=("QUE021",), replay=file))

    assert [one.outcome.value for one in report.results] == ["pass"]
