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
RUBY_FAULTS = crossed(
    {
        "P1": performing('require "csv"'),
        "a file": performing('load "lib/csv.rb"'),
        "Rails' own": performing('require_dependency "csv"'),
    },
    ruby,
)
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

    assert one.severity == "medium"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD003", tmp_path, text))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD003", tmp_path, text).findings

    assert one.severity == "medium"


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD003", tmp_path, text))


EAGER = "Rails.application.configure do\n  config.eager_load = {}\nend\n"


@pytest.mark.parametrize(("said", "ill"), [("false", True), ("ENV['EAGER'].present?", True), ("true", False)])
def test_eager_load_in_production(tmp_path: Path, said: str, ill: bool) -> None:
    found = in_ruby(
        "COD003", tmp_path, performing("puts 1"), config__environments__production_DOT_rb=EAGER.format(said)
    )

    assert accused(found) is ill


def test_an_initializer_loads_all(tmp_path: Path) -> None:
    files = {
        "config__environments__production_DOT_rb": EAGER.format("false"),
        "config__initializers__load_DOT_rb": "Rails.application.eager_load!\n",
    }

    assert not accused(in_ruby("COD003", tmp_path, performing("puts 1"), **files))


@pytest.mark.parametrize(("line", "ill"), [("autoload :X, 'x'", True), ("puts 'autoload'", False)])
def test_autoload_in_a_job_s_file(tmp_path: Path, line: str, ill: bool) -> None:
    assert accused(in_ruby("COD003", tmp_path, performing("X.new", head=f"{line}\n"))) is ill


def test_a_cycle_of_imports(tmp_path: Path) -> None:
    job = "@job\ndef f():\n  from reports import build\n  build()\n"
    cycle = in_python("COD003", tmp_path / "ill", job, reports_DOT_py="import shop\ndef build(): pass\n")
    twin = in_python("COD003", tmp_path / "well", job, reports_DOT_py="import json\ndef build(): pass\n")

    assert [one.severity for one in cycle.findings] == ["medium"]
    assert not accused(twin)


@pytest.mark.parametrize(
    ("line", "severity"),
    [("importlib.import_module(name)", ["medium"]), ("importlib.import_module('json')", [])],
)
def test_what_is_named_at_run_time(tmp_path: Path, line: str, severity: list[str]) -> None:
    found = in_python("COD003", tmp_path, f"import importlib\n@job\ndef f(name):\n  {line}\n")

    assert [str(one.severity) for one in found.findings] == severity


@pytest.mark.parametrize(("line", "ill"), [("os.environ['A'] = '1'", True), ("A = os.environ['A']", False)])
def test_a_module_that_changes_the_process(tmp_path: Path, line: str, ill: bool) -> None:
    job = "@job\ndef f():\n  import env\n"

    assert accused(in_python("COD003", tmp_path, job, env_DOT_py=f"import os\n{line}\n")) is ill


def test_what_may_be_missing_is_told_at_info(tmp_path: Path) -> None:
    text = "@job\ndef f():\n  try:\n    import cv2\n  except ImportError:\n    return\n  cv2.imread('x')\n"

    assert [str(one.severity) for one in in_python("COD003", tmp_path, text).findings] == ["info"]
