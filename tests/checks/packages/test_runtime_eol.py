"""PKG003: pins of every file, against the library's need and the end of life."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from healthy import HEALTHY
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Package, Packages, Runtimes
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.packages.runtimes import runtimes

NOW = datetime(2026, 11, 20, tzinfo=UTC).timestamp()


def judged(root: Path, files: dict[str, str], sidekiq: str = "7.3.9", at: float = NOW) -> Result:
    found: Runtimes = replace(runtimes.read(tree(root, files)), at=at)
    return diagnose("PKG003", HEALTHY.with_(found, Packages((Package("ruby", "sidekiq", sidekiq, "Gemfile.lock"),))))


@pytest.mark.parametrize(
    ("fault", "twin"),
    [
        ({".ruby-version": "3.1.4\n"}, {".ruby-version": "ruby-3.3.4\n"}),
        ({".python-version": "3.9.1\n"}, {".python-version": "3.12\n"}),
        ({"runtime.txt": "python-3.8.10\n"}, {"runtime.txt": "python-3.13.1\n"}),
        ({".tool-versions": "nodejs 12.0.0\nruby 3.1.0\n"}, {".tool-versions": "nodejs 12.0.0\nruby 3.4.0\n"}),
        ({"Gemfile": "ruby '~> 3.0'\n"}, {"Gemfile": 'ruby "3.3.0"\n'}),
        ({"Dockerfile": "FROM python:3.8-slim\n"}, {"Dockerfile": "FROM python:3.8 AS build\nFROM python:3.13\n"}),
        (
            {"Dockerfile": "ARG V=3.0\nFROM docker.io/library/ruby:${V}-slim AS base\nFROM base\n"},
            {"Dockerfile": "ARG V=3.4\nFROM docker.io/library/ruby:${V}-slim AS base\nFROM base\n"},
        ),
        (
            {"pyproject.toml": '[project]\nrequires-python = "==3.8.*"\n'},
            {"pyproject.toml": '[project]\nrequires-python = "==3.12.*"\n'},
        ),
        (
            {"pyproject.toml": '[project]\nrequires-python = ">=3.7,<3.9"\n'},
            {"pyproject.toml": '[project]\nrequires-python = ">=3.7,<3.14"\n'},
        ),
        ({"mise.toml": "[tools]\nruby = '3.0'\n"}, {"mise.toml": "[tools]\nruby = '3.4'\nnode = '12'\n"}),
    ],
)
def test_past_its_end(tmp_path: Path, fault: dict[str, str], twin: dict[str, str]) -> None:
    ill, well = judged(tmp_path / "ill", fault), judged(tmp_path / "well", twin)

    assert [str(one.severity) for one in ill.findings] == ["low"]
    assert well.outcome is Outcome.PASS, (well.reason, well.findings)


def test_no_pin_says_nothing(tmp_path: Path) -> None:
    assert judged(tmp_path, {"app/a.rb": "puts 1\n"}).outcome is Outcome.UNKNOWN
    floor = {"pyproject.toml": '[project]\nrequires-python = ">=3.7"\n'}
    assert judged(tmp_path / "floor", floor).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("sidekiq", "ruby"), [("8.1.7", "3.1.4"), ("7.3.9", "2.6.10"), ("6.5.12", "2.4.9")])
def test_too_old_for_sidekiq(tmp_path: Path, sidekiq: str, ruby: str) -> None:
    result = judged(tmp_path, {".ruby-version": f"{ruby}\n"}, sidekiq)

    assert [str(one.severity) for one in result.findings] == ["medium"]


def test_another_file_pins_one_that_will_do(tmp_path: Path) -> None:
    result = judged(tmp_path, {".tool-versions": "ruby 2.6.5\n", "Dockerfile": "FROM ruby:3.4.1\n"})

    assert [(str(one.severity), one.finding.subject) for one in result.findings] == [("low", "file:.tool-versions")]


def test_the_lock_s_own_ruby_counts(tmp_path: Path) -> None:
    locked = Packages(
        (Package("ruby", "ruby", "2.6.1", "Gemfile.lock", 9), Package("ruby", "sidekiq", "7.3.9", "Gemfile.lock"))
    )
    found = replace(runtimes.read(tree(tmp_path, {".python-version": "3.13\n"})), at=NOW)

    [finding] = diagnose("PKG003", HEALTHY.with_(found, locked)).findings

    assert (finding.severity, finding.finding.subject) == ("medium", "file:Gemfile.lock")


def test_an_old_table_proves_nothing(tmp_path: Path) -> None:
    assert judged(tmp_path, {".python-version": "3.14\n"}, at=NOW + 500 * 86_400).outcome is Outcome.UNKNOWN
