"""OBS001: a reporter, a handler, or nobody."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from judging import performing
from source import application, looked

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome, Result

SIDEKIQ = Package("ruby", "sidekiq", "7.3.2", "Gemfile.lock")
LOST = "class K\n  include Sidekiq::Job\n  sidekiq_options retry: false, dead: false\n  def perform\n  end\nend\n"


def said(root: Path, *packages: Package, **files: str) -> Result:
    tree = application(root, app__jobs__j_DOT_rb=performing("x"), **files)
    return diagnose("OBS001", looked(tree, HEALTHY).with_(Packages((SIDEKIQ, *packages), sources=("Gemfile.lock",))))


def test_nobody_is_told(tmp_path: Path) -> None:
    assert [one.severity for one in said(tmp_path).findings] == ["low"]


@pytest.mark.parametrize("name", ["sentry-ruby", "honeybadger", "bugsnag", "rollbar", "opentelemetry-sdk"])
def test_a_reporter_tells(tmp_path: Path, name: str) -> None:
    reporter = Package("ruby", name, "5.0.0", "Gemfile.lock")

    assert said(tmp_path, reporter, app__jobs__k_DOT_rb=LOST).outcome is Outcome.PASS


def test_a_reporter_for_trials_tells_nobody(tmp_path: Path) -> None:
    reporter = Package("ruby", "sentry-ruby", "5.0.0", "Gemfile.lock", groups=("test",))

    assert said(tmp_path, reporter).outcome is Outcome.FAIL


def test_a_handler_tells(tmp_path: Path) -> None:
    handler = "Sidekiq.configure_server do |config|\n  config.death_handlers << ->(job, ex) { puts ex }\nend\n"

    assert said(tmp_path, config__initializers__s_DOT_rb=handler).outcome is Outcome.PASS


def test_a_controller_s_handler_tells_nothing_of_jobs(tmp_path: Path) -> None:
    handler = "class C < ActionController::Base\n  rescue_from Foo, with: :bar\nend\n"

    assert said(tmp_path, app__controllers__c_DOT_rb=handler).outcome is Outcome.FAIL


def test_some_jobs_see_to_themselves(tmp_path: Path) -> None:
    own = LOST.replace("  def", "  sidekiq_retries_exhausted { |job| puts job }\n  def", 1)

    assert said(tmp_path, app__jobs__k_DOT_rb=own).outcome is Outcome.UNKNOWN


def test_jobs_that_are_lost_at_once(tmp_path: Path) -> None:
    found = said(tmp_path, app__jobs__k_DOT_rb=LOST).findings

    assert [one.finding.subject for one in found] == ["application", "file:app/jobs/k.rb"]


def test_nothing_is_locked(tmp_path: Path) -> None:
    tree = application(tmp_path, app__jobs__j_DOT_rb=performing("x"))

    assert diagnose("OBS001", looked(tree, HEALTHY).with_(Packages())).outcome is Outcome.UNKNOWN
