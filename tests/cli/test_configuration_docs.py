"""docs/configuration.md shows what can be read."""

import re
import tomllib
from pathlib import Path

import pytest
from examining import Doctor

TEXT = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
BLOCKS = [block for block in re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL) if "SOME001" not in block]
CONDITIONS = [line.partition("#")[0] for block in BLOCKS for line in block.splitlines() if line.startswith("while")]


@pytest.mark.parametrize("block", [block for block in BLOCKS if not block.startswith("while")])
def test_each_example_is_read(doctor: Doctor, block: str) -> None:
    doctor.write('{"schema": "kiqdoctor.baseline/1", "fingerprints": []}', "kiqdoctor-baseline.json")
    doctor.write(block)

    assert doctor("check", "--plan", "--config", "kiqdoctor.toml").err == ""


@pytest.mark.parametrize("condition", CONDITIONS)
def test_each_condition_is_one(doctor: Doctor, condition: str) -> None:
    head = '[[suppress]]\ncheck = "RED003"\nreason = "r"\nowner = "o"\nexpires = 2026-12-31\n'
    doctor.write(head + condition)

    assert tomllib.loads(condition)["while"]
    assert doctor("check", "--plan").err == ""


def test_its_error_is_the_one_that_is_printed(doctor: Doctor) -> None:
    doctor.write('\n\nfail-onn = "high"')

    assert doctor("check", "--plan").err in TEXT
