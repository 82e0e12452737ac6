"""PKG005: what a library no longer needs."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from judging import read

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Call, Calls, Import, Imports
from kiqdoctor.doctor.facts.packages import Package, Packages, Pin, Runtimes
from kiqdoctor.doctor.report import Outcome


def locked(**versions: str) -> Packages:
    named = ((name.replace("_", "-"), version) for name, version in versions.items())
    return Packages(tuple(Package("ruby", name, version, "Gemfile.lock") for name, version in named))


@pytest.mark.parametrize(("mongoid", "outcome"), [("4.0.0", Outcome.FAIL), ("3.1.6", Outcome.PASS)])
def test_kiqstand(mongoid: str, outcome: Outcome) -> None:
    result = diagnose("PKG005", HEALTHY.with_(locked(kiqstand="1.1.0", mongoid=mongoid)))

    assert result.outcome is outcome
    assert {str(one.severity) for one in result.findings} <= {"info"}


@pytest.mark.parametrize(("rails", "outcome"), [("5.0.0", Outcome.FAIL), ("4.2.11", Outcome.PASS)])
def test_test_after_commit(rails: str, outcome: Outcome) -> None:
    gem = Package("ruby", "test_after_commit", "1.2.2", "Gemfile.lock")
    facts = Packages((gem, Package("ruby", "rails", rails, "Gemfile.lock")))

    assert diagnose("PKG005", HEALTHY.with_(facts)).outcome is outcome


@pytest.mark.parametrize(("core", "outcome"), [("3.100.0", Outcome.FAIL), ("2.11.0", Outcome.PASS)])
def test_eager_autoload(core: str, outcome: Outcome) -> None:
    calls = Calls((Call(0, 3, 1, "Aws.eager_autoload!"),))

    assert diagnose("PKG005", HEALTHY.with_(locked(aws_sdk_core=core), calls)).outcome is outcome


@pytest.mark.parametrize(
    ("pins", "outcome"), [(("3.12",), Outcome.FAIL), (("3.6", "3.12"), Outcome.PASS), ((), Outcome.PASS)]
)
def test_strptime(pins: tuple[str, ...], outcome: Outcome) -> None:
    runtimes = Runtimes(tuple(Pin("python", one, ".python-version") for one in pins), 1.0)
    imports = Imports((Import(0, 1, 1, "_strptime", statement=True),))

    assert diagnose("PKG005", HEALTHY.with_(runtimes, imports)).outcome is outcome


@pytest.mark.parametrize(
    ("pins", "floor", "outcome"),
    [((), "3.10", Outcome.FAIL), ((), "3.6", Outcome.PASS), (("3.12",), "3.6", Outcome.PASS)],
)
def test_what_requires_python_leaves(pins: tuple[str, ...], floor: str, outcome: Outcome) -> None:
    pinned = tuple(Pin("python", one, ".python-version") for one in pins)
    runtimes = Runtimes(pinned, 1.0, (Pin("python", floor, "pyproject.toml"),))
    imports = Imports((Import(0, 1, 1, "_strptime", statement=True),))

    assert diagnose("PKG005", HEALTHY.with_(runtimes, imports)).outcome is outcome


def test_a_gem_of_one_service_is_of_the_third_version() -> None:
    calls = Calls((Call(0, 3, 1, "AWS.eager_autoload!"),))

    assert diagnose("PKG005", HEALTHY.with_(locked(aws_sdk_s3="1.100"), calls)).outcome is Outcome.FAIL
    assert diagnose("PKG005", HEALTHY.with_(locked(aws_sdk="1.60"), calls)).outcome is Outcome.PASS


FORKS = "{} do |server, worker|\n  {}\nend\n"
AGAIN = "Sidekiq.configure_client { |c| c.redis = { url: ENV['R'] } }"


@pytest.mark.parametrize(
    ("text", "version", "accused"),
    [
        (FORKS.format("after_fork", AGAIN), "7.3.2", True),
        (FORKS.format("on_worker_boot", AGAIN), "7.3.2", True),
        (FORKS.format("after_fork", AGAIN), "2.8.0", False),
        (FORKS.format("after_fork", "ActiveRecord::Base.establish_connection"), "7.3.2", False),
        (AGAIN + "\n", "7.3.2", False),
    ],
)
def test_a_hook_after_the_fork(tmp_path: Path, text: str, version: str, *, accused: bool) -> None:
    lock = f"GEM\n  remote: https://rubygems.org/\n  specs:\n    sidekiq ({version})\n\nDEPENDENCIES\n  sidekiq\n"

    found = read("PKG005", tmp_path, {"Gemfile.lock": lock, "config/unicorn.rb": text})

    assert (found.outcome is Outcome.FAIL) is accused
