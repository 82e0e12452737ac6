"""GitLab Code Quality: the documented shape, fingerprints that are stable and never twice."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from formats import Told, counts, schema
from jsonschema import Draft202012Validator

from kiqdoctor.doctor.report import Report, Severity
from kiqdoctor.render.formats import gitlab
from kiqdoctor.render.ground import Ground
from kiqdoctor.render.view import View

Build = Callable[..., Report]
VALIDATOR = Draft202012Validator(schema("gitlab-code-quality.schema.json"))


def entries(report: Report, ground: Ground | None = None) -> list[dict[str, Any]]:
    return list(json.loads(gitlab.render(report, View(ground=ground or Ground()))))


def valid(text: str) -> None:
    VALIDATOR.validate(json.loads(text))


def told(text: str) -> Iterator[Told]:
    names = {word: severity.value for severity, word in gitlab.SEVERITIES.items()}
    found = [one for one in json.loads(text) if "could not be judged" not in one["description"]]
    yield "counts", counts(names[one["severity"]] for one in found)


def test_a_hostile_report_is_valid(hostile: Report) -> None:
    VALIDATOR.validate(entries(hostile))
    assert gitlab.render(hostile).isascii()


def test_severities_are_mapped_one_to_one(report: Build) -> None:
    found = [entries(report("x", severity=severity))[0]["severity"] for severity in Severity]

    assert found == ["blocker", "critical", "major", "minor", "info"]


def test_fingerprints_differ_within_a_report_and_not_between_runs(report: Build) -> None:
    whole = report("x")
    twice = replace(whole, results=(replace(whole.results[0], findings=whole.results[0].findings * 2),))
    found = [one["fingerprint"] for one in entries(twice)]

    assert len(set(found)) == 4
    assert found[:2] == [one["fingerprint"] for one in entries(replace(twice, started_at=0.0, duration_s=9.0))][:2]
    assert found[:2] == [one["fingerprint"] for one in entries(whole)][:2]


def test_a_finding_without_a_file_stands_at_the_anchor(report: Build) -> None:
    located, bare, blind = entries(report("jobs.py"), Ground("app", "Gemfile"))

    assert located["location"] == {"path": "app/jobs.py", "lines": {"begin": 3}}
    assert bare["location"] == blind["location"] == {"path": "app/Gemfile", "lines": {"begin": 1}}


def test_suppressed_findings_are_left_out_and_what_is_blind_is_not(report: Build) -> None:
    [blind] = entries(report("NOPERM", suppressed=True))

    assert blind["severity"] == "info"
    assert blind["description"] == "TST002: could not be judged: NOPERM"
