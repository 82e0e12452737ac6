"""The configuration's JSON Schema: the published file is made of the code, and it says what the reader accepts."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from examining import Doctor
from jsonschema import Draft202012Validator

from kiqdoctor.examining.parts import every_check

PUBLISHED = Path(__file__).parents[2] / "docs" / "kiqdoctor.schema.json"


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(PUBLISHED.read_text()))


def test_the_published_schema_is_that_of_the_code(doctor: Doctor) -> None:
    assert doctor("init", "--schema").out == PUBLISHED.read_text(), (
        "kiqdoctor init --schema > docs/kiqdoctor.schema.json"
    )


def test_it_is_a_schema(validator: Draft202012Validator) -> None:
    Draft202012Validator.check_schema(validator.schema)


SOUND = [
    "",
    'fail-on = "never"\nselect = "RED"\nfor = 1.5\nstatic = true',
    'select = ["RED", "packages"]\nreport = ["json=a.json"]\nchecks = ["."]',
    "[checks.RED002]\nnear = 0.5\n[checks.maxclients-exhausted]\nnear = 1",
    '[checks]\nfolders = "."\n[tags.shop.PRO003]\nwindow-s = 5',
    '[[suppress]]\ncheck = "RED002"\nreason = "r"\nowner = "o"\nexpires = "2030-01-01"\nwhile = "fleet.members < 3"',
]
WRONG = [
    'fail_on = "high"',
    'fail-on = "hihg"',
    "static = 1",
    "redis-limit = 0",
    "select = [1]",
    "checks = 3",
    "[checks.RED002]\nneer = 1",
    "[checks.RED002]\nnear = 7",
    '[checks.RED002]\nnear = "x"',
    "[checks.OBS002]\nnear = 1",
    "[tags.shop.PRO003]\nwindow = 5",
    "[tags.shop.RED002]\nnear = 0.5",
    '[[suppress]]\ncheck = "RED002"\nreason = "r"\nowner = "o"',
    '[[suppress]]\ncheck = "OBS003"\nreason = "r"\nowner = "o"\nexpires = "2030-01-01"',
    '[[suppress]]\ncheck = "RED002"\nreason = "r"\nowner = "o"\nexpires = "2030-01-01"\nunless = "x"',
]


def table(text: str) -> dict[str, Any]:
    return tomllib.loads(text)


@pytest.mark.parametrize("text", SOUND)
def test_the_schema_and_the_reader_accept_the_same(doctor: Doctor, validator: Draft202012Validator, text: str) -> None:
    doctor.write(text)

    assert validator.is_valid(table(text))
    assert doctor.replay("--plan").err == ""


@pytest.mark.parametrize("text", WRONG)
def test_the_schema_and_the_reader_refuse_the_same(doctor: Doctor, validator: Draft202012Validator, text: str) -> None:
    doctor.write(text)

    assert not validator.is_valid(table(text))
    assert doctor.replay("--plan").status == 2


def test_each_number_of_each_check_is_in_it(validator: Draft202012Validator) -> None:
    schema: Any = validator.schema
    known = schema["properties"]["checks"]["anyOf"][1]["properties"]

    for check in every_check():
        if not check.origin:
            assert known[check.id].get("properties", {}).keys() == {one.name for one in check.thresholds}
