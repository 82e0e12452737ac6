"""The gate: every format and every CI system give the same exit status; the summary line is last."""

import json
from pathlib import Path

import pytest
import redis as redis_py
from doctoring import kiqdoctor
from examining import Doctor
from servers import RedisServer
from states import beat, push

from kiqdoctor.render.formats import NAMES


@pytest.fixture(autouse=True)
def _alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that somebody else starts on this host is no reason to wait for its first beat."""
    file = tmp_path_factory.mktemp("alone") / "kiqdoctor.toml"
    file.write_text("[checks.PRO001]\nbooting-s = 0\n")
    monkeypatch.setenv("KIQDOCTOR_CONFIG", str(file))


@pytest.fixture
def ill(redis: "redis_py.Redis", redis_server: RedisServer) -> str:
    push(redis)
    return redis_server.url


@pytest.fixture
def well(redis: "redis_py.Redis", redis_server: RedisServer) -> str:
    push(redis)
    beat(redis)
    return redis_server.url


def test_the_status_is_the_same_in_every_format(ill: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """One examination of a real Redis, judged in each format."""
    facts = tmp_path / "facts.json"
    words = ("--live", "--redis", ill, "--record", str(facts))
    assert kiqdoctor("gate", *words).status == kiqdoctor("check", *words).status == 1

    doctor = Doctor(tmp_path, capfd)
    for form in NAMES:
        for command in ("gate", "check"):
            assert doctor(command, "--live", "--replay", str(facts), "--format", form).status == 1, (command, form)


def test_the_last_line_is_the_summary(ill: str) -> None:
    found = kiqdoctor("gate", "--live", "--redis", ill)

    last = found.out.strip().splitlines()[-1]
    assert last.startswith("kiqdoctor gate: FAILED: ")
    assert "applicable checks judged" in last


def test_github_actions_are_recognised(ill: str, tmp_path: Path) -> None:
    step = tmp_path / "summary.md"

    found = kiqdoctor("gate", "--live", "--redis", ill, GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(step))

    assert found.out.startswith("::error title=")
    assert "CRITICAL" in step.read_text()


def test_azure_pipelines_are_recognised(ill: str, tmp_path: Path) -> None:
    found = kiqdoctor("gate", "--live", "--redis", ill, cwd=tmp_path, TF_BUILD="True")

    assert found.out.startswith("##vso[task.logissue type=error;")
    assert found.err.strip().splitlines()[-1].startswith("kiqdoctor gate: FAILED: ")
    assert (tmp_path / "TEST-kiqdoctor.xml").exists()


def test_gitlab_finds_its_report_files(ill: str, tmp_path: Path) -> None:
    kiqdoctor("gate", "--live", "--redis", ill, cwd=tmp_path, GITLAB_CI="true")

    assert json.loads((tmp_path / "gl-code-quality-report.json").read_text())
    assert (tmp_path / "kiqdoctor-junit.xml").read_text().startswith("<?xml")


def test_a_gate_that_looked_at_nothing_fails() -> None:
    assert kiqdoctor("gate", "--static", "--select", "OBS002").status == 3


@pytest.mark.parametrize(("word", "status"), [("ill", 2), ("well", 0)])
def test_nagios(request: pytest.FixtureRequest, word: str, status: int) -> None:
    url = request.getfixturevalue(word)

    found = kiqdoctor("gate", "--live", "--redis", url, "--nagios")

    assert found.status == status
    assert len(found.out.splitlines()) == 1
    assert " | critical=" in found.out


def test_a_baseline_is_written_and_then_silences_what_it_names(ill: str, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"

    first = kiqdoctor("check", "--live", "--redis", ill, "--write-baseline", str(file))
    second = kiqdoctor("check", "--live", "--redis", ill, "--baseline", str(file), "--format", "json")

    assert (first.status, second.status) == (1, 0)
    assert second.report["summary"]["suppressed"] > 0
    assert second.outcome("PRO001") == "fail"


@pytest.mark.parametrize("content", ["", "[]", '{"schema": "other"}', '{"schema": "kiqdoctor.baseline/1"}'])
def test_a_broken_baseline_is_wrong_usage(content: str, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text(content)

    found = kiqdoctor("check", "--static", "--baseline", str(file))

    assert found.status == 2
    assert len(found.err.strip().splitlines()) == 1


def test_further_reports_in_the_same_run(ill: str, tmp_path: Path) -> None:
    kiqdoctor("check", "--live", "--redis", ill, "--report", f"sarif={tmp_path}/a.sarif", "--report",
              f"html={tmp_path}/a.html")  # fmt: skip

    assert json.loads((tmp_path / "a.sarif").read_text())["version"] == "2.1.0"
    assert "<html" in (tmp_path / "a.html").read_text()
