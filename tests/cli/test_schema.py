"""The configuration's JSON Schema: the published file is made of the code, and it says what the reader accepts."""

import json
import tomllib
from typing import Any

import pytest
from examining import Doctor
from jsonschema import Draft202012Validator
from pages import SCHEMA

from kiqdoctor.examining.parts import every_check


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    return Draft202012Validator(json.loads(SCHEMA.read_text()))


def test_the_published_schema_is_that_of_the_code(doctor: Doctor) -> None:
    assert doctor("init", "--schema").out == SCHEMA.read_text(), "python tests/support/pages.py writes it"


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
    assert doctor.replay("--plan", KIQDOCTOR_CONFIG="kiqdoctor.toml").err == ""


@pytest.mark.parametrize("text", WRONG)
def test_the_schema_and_the_reader_refuse_the_same(doctor: Doctor, validator: Draft202012Validator, text: str) -> None:
    doctor.write(text)

    assert not validator.is_valid(table(text))
    assert doctor.replay("--plan").status == 2


def test_each_number_of_each_check_is_in_it_and_no_check_without_one(validator: Draft202012Validator) -> None:
    schema: Any = validator.schema
    known = schema["properties"]["checks"]["anyOf"][1]["properties"]
    numbered = {one.id: one for one in every_check() if one.thresholds and not one.origin}

    assert known.keys() - {"folders"} == {name for one in numbered.values() for name in (one.id, one.name)}
    for check in numbered.values():
        assert known[check.id] == known[check.name] == {"$ref": f"#/$defs/{check.id}"}
        assert schema["$defs"][check.id]["properties"].keys() == {one.name for one in check.thresholds}


def test_a_check_without_numbers_is_the_reader_s_to_refuse(doctor: Doctor, validator: Draft202012Validator) -> None:
    text = "[checks.OBS002]\nnear = 1"
    doctor.write(text)

    assert validator.is_valid(table(text))
    assert "OBS002 has no numbers to turn" in doctor.replay("--plan").err
