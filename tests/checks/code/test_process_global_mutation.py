"""COD007: the catalogue's examples in all their ways, and how jobs run."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, judged, performing
from rewriting import crossed, python, ruby

from kiqdoctor.doctor.report import Outcome

FAULTS = crossed(
    {
        "P1": "import contextlib\n@job\ndef f(d):\n  with contextlib.chdir(d): pass\n",
        "P2": "import os, time\n@job\ndef f(tz):\n  env = os.environ\n  env['TZ'] = tz\n",
        "P3": "import stripe\n@job\ndef f(tenant):\n  stripe.api_key = tenant.key\n  stripe.Charge.create(x=1)\n",
        "a stream": "import sys\n@job\ndef f(x): sys.stdout = x\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": "import subprocess, os\n@job\ndef f(c, d): subprocess.run(c, cwd=d, env={**os.environ, 'A': '1'})\n",
        "N2": "import decimal\n@job\ndef f():\n  with decimal.localcontext() as c: c.prec = 9\n",
        "no job": "import os\n@job\ndef f(): pass\ndef web(): os.chdir('/')\n",
    },
    python,
)
RUBY_FAULTS = crossed(
    {
        "P1": performing("Time.zone = x.tz"),
        "P2": performing('ENV.update("A" => "1")'),
        "P3": performing('Dir.chdir(x) { system "tar" }'),
        "a resource": performing("Person.site = x", head="class Person < ActiveResource::Base\nend\n"),
    },
    ruby,
)
RUBY_TWINS = crossed(
    {
        "N1": performing("Time.use_zone(x) { }"),
        "N2": performing('Open3.capture2({"A"=>"1"}, x, chdir: x)'),
        "N3": performing("I18n.with_locale(:fr) { }"),
        "another's site": performing("Person.site = x", head="class Person\nend\n"),
    },
    ruby,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD007", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD007", tmp_path, text))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD007", tmp_path, text).findings

    assert one.severity == ("medium" if "zone" in text else "high")


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD007", tmp_path, text))


def test_a_process_of_one_job_is_its_own(tmp_path: Path) -> None:
    text = "import os\nfrom celery import shared_task\n@shared_task\ndef f(d): os.chdir(d)\n"
    result = in_python("COD007", tmp_path, text)

    assert result.outcome is Outcome.NOT_APPLICABLE
    assert "celery: prefork, one job a process" in (result.reason or "")


@pytest.mark.parametrize(
    ("value", "severity"),
    [("os.environ['KEY']", "low"), ("'sk'", "low"), ("settings.KEY", "low"), ("tenant", "high"), ("g(tenant)", "high")],
)
def test_a_key_that_is_the_same_each_time(tmp_path: Path, value: str, severity: str) -> None:
    text = f"import os, stripe\nfrom own import settings, g\n@job\ndef f(tenant): stripe.api_key = {value}\n"
    [one] = in_python("COD007", tmp_path, text).findings

    assert one.severity == severity


@pytest.mark.parametrize(
    ("value", "severity"), [('Settings.get("KEY")', "low"), ('ENV["KEY"]', "low"), ("x.key", "high"), ("@key", "high")]
)
def test_a_key_in_ruby_that_is_the_same_each_time(tmp_path: Path, value: str, severity: str) -> None:
    [one] = in_ruby("COD007", tmp_path, performing(f"Stripe.api_key = {value}")).findings

    assert one.severity == severity


@pytest.mark.parametrize(("base", "outcome"), [("ApplicationJob", Outcome.PASS), ("Own", Outcome.FAIL)])
def test_active_job_puts_locale_and_zone_back(tmp_path: Path, base: str, outcome: Outcome) -> None:
    own = "class Own\n  include Sidekiq::Job\nend\n"
    text = f"{own}class J < {base}\n  def perform(x)\n    I18n.locale = x\n  end\nend\n"
    adapted = {"config__application_DOT_rb": "config.active_job.queue_adapter = :sidekiq\n"}

    assert judged("COD007", tmp_path, app__jobs__j_DOT_rb=text, **adapted).outcome is outcome
