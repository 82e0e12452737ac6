"""Comments that suppress, on the command line: what they silence, and what OBS003 says of those that do not."""

from pathlib import Path
from typing import Any

import pytest
from doctoring import kiqdoctor

APPLICATION = """import requests
from celery import shared_task


@shared_task
def fetch(url):
    requests.get(url){}
"""


def report(root: Path, comment: str, *words: str) -> dict[str, Any]:
    (root / "requirements.txt").write_text("celery==5.4.0\nrequests==2.32.0\n", encoding="utf-8")
    (root / "tasks.py").write_text(APPLICATION.format(comment), encoding="utf-8")
    asked = ("check", str(root), "--static", "--isolated", "--select", "COD010,OBS003", "--format", "json")
    said: dict[str, Any] = kiqdoctor(*asked, *words).report
    return {one["check"]: one for one in said["results"]}


def test_a_comment_with_a_reason_silences_its_line(tmp_path: Path) -> None:
    said = report(tmp_path, "  # kiqdoctor: ignore[COD010] the proxy ends it")

    assert [one["suppressed"] for one in said["COD010"]["findings"]] == [True]
    assert said["OBS003"]["outcome"] == "pass"
    assert "the proxy ends it" in said["OBS003"]["evidence"][0]["value"]


def test_its_twin_without_a_comment_counts(tmp_path: Path) -> None:
    said = report(tmp_path, "")

    assert [one["suppressed"] for one in said["COD010"]["findings"]] == [False]
    assert said["OBS003"]["outcome"] == "not-applicable"


@pytest.mark.parametrize(
    ("comment", "told"),
    [
        ("  # kiqdoctor: ignore[COD010]", "says no reason"),
        ("  # kiqdoctor: ignore[COD999] why not", "names no check that there is: COD999"),
        ("  # kiqdoctor: ignore why not", "names no check that there is"),
    ],
)
def test_one_that_does_not_hold_is_told(tmp_path: Path, comment: str, told: str) -> None:
    said = report(tmp_path, comment)

    assert [one["suppressed"] for one in said["COD010"]["findings"]] == [False]
    [finding] = said["OBS003"]["findings"]
    assert told in finding["title"]
    assert finding["severity"] == "low"
    assert finding["location"] == {"path": "tasks.py", "line": 7, "column": 24}


def test_one_that_silences_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("x = 1  # kiqdoctor: ignore[COD010] long ago\n", encoding="utf-8")
    said = report(tmp_path, "  # kiqdoctor: ignore[COD010] the proxy ends it")

    [finding] = said["OBS003"]["findings"]
    assert "silences nothing" in finding["title"]
