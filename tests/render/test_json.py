"""What `--format json` prints is what the published schema says, key for key."""

import json
from collections.abc import Callable, Iterator
from importlib.resources import files
from typing import Any

import pytest
from formats import Told
from jsonschema import Draft202012Validator

from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.report import Finding, Location, Outcome, Report, Reported, Result, Severity, Target
from kiqdoctor.render.formats import json as as_json


def closed(schema: Any) -> Any:
    """The same schema, refusing keys that it does not name: what we print must be documented."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    return {**found, "additionalProperties": False} if schema.get("type") == "object" else found


VALIDATOR = Draft202012Validator(closed(as_json.schema()), format_checker=Draft202012Validator.FORMAT_CHECKER)


def valid(text: str) -> None:
    VALIDATOR.validate(json.loads(text))


def told(text: str) -> Iterator[Told]:
    document = json.loads(text)["summary"]
    yield "status", document["exit_status"]
    yield "counts", document["findings"]


def test_the_schema_is_one_and_lies_in_the_package() -> None:
    Draft202012Validator.check_schema(as_json.schema())

    assert as_json.schema()["properties"]["schema"] == {"const": as_json.SCHEMA}
    assert (files("kiqdoctor.render") / "schema" / "report-1.schema.json").is_file()


def test_a_hostile_report_is_valid(hostile: Report) -> None:
    text = as_json.render(hostile)

    VALIDATOR.validate(json.loads(text))
    assert text.isascii()


@pytest.mark.parametrize("status", [0, 1, 3])
def test_every_exit_status_with_a_report_is_valid(report: Callable[..., Report], status: int) -> None:
    VALIDATOR.validate(as_json.document(report("x", status=status)))


def test_nothing_examined_is_valid() -> None:
    VALIDATOR.validate(as_json.document(Report("0.1.0", 0.0, 0.0, Target(None, None, None), (), 3)))


def test_what_a_pack_s_check_forgot_is_made_good() -> None:
    check = Check("TST001", "some-check", "test", Severity.LOW, lambda: (), (), "")
    finding = Finding("redis", "ill", "", location=Location("a.py", 0, 0))
    results = (
        Result(check, Outcome.UNKNOWN, None, 0.0),
        Result(check, Outcome.FAIL, None, 0.0, (), (Reported(finding, Severity.LOW, "TST001:redis"),)),
    )

    VALIDATOR.validate(as_json.document(Report("0.1.0", 0.0, 0.0, Target(None, None, None), results, 0)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcome": "fail"},
        {"outcome": "pass", "reason": "because"},
        {"outcome": "unknown", "reason": None},
        {"outcome": "skipped"},
        {"findings": [{}]},
    ],
)
def test_the_schema_refuses_what_the_contract_does(report: Callable[..., Report], wrong: dict[str, Any]) -> None:
    document = as_json.document(report("x"))
    document["results"][3] |= wrong

    assert not VALIDATOR.is_valid(document)
