"""COD003: large packages and Ruby's files that a job is the first to load."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, performing
from rewriting import crossed, python, ruby

FAULTS = crossed({"P3": "@job\ndef f():\n  import cv2\n  cv2.imread('x')\n"}, python)
TWINS = crossed(
    {
        "N3": "@job\ndef f():\n  import json\n  json.dumps(1)\n",
        "at the top": "import cv2\n@job\ndef f():\n  import cv2\n  cv2.imread('x')\n",
    },
    python,
)
RUBY_FAULTS = crossed({"P1": performing('require "csv"')}, ruby)
RUBY_TWINS = crossed(
    {
        "N1": performing('require "csv"', head='require "csv"\n'),
        "N3": performing('puts "please require x"'),
    },
    ruby,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD003", tmp_path, text).findings

    assert one.severity == "info"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD003", tmp_path, text))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD003", tmp_path, text).findings

    assert one.severity == "low"


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD003", tmp_path, text))
