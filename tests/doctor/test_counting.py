"""One of something is told as one: in words, and in what checks write."""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from kiqdoctor.doctor.counting import counted

CHECKS = sorted((Path(__file__).parents[2] / "checks").glob("*/*.py"))
BARE = re.compile(
    r"\A (?:sampled |live |more )?(?:jobs|clients|processes|workers|retries|queues|entries|keys|locks|findings) "
    r"(?:wait|lie|are|were|have|do|beat|take|read|died|timed|left|count|name)\b"
)
"""What follows a number that may be one, where it is told as many."""


def test_one_is_no_plural() -> None:
    assert [counted(number, "job") for number in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]
    assert counted(1, "job waits", "jobs wait") == "1 job waits"
    assert counted(5, "job waits", "jobs wait") == "5 jobs wait"


@pytest.mark.parametrize("file", CHECKS, ids=lambda file: file.stem)
def test_no_check_tells_one_as_many(file: Path) -> None:
    texts = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.JoinedStr)]
    bare = [after for text in texts for after in _after_numbers(text) if BARE.match(after)]

    assert bare == []


def _after_numbers(text: ast.JoinedStr) -> Iterator[str]:
    """What follows a number; of "3 of 7 keys" the second is a whole, and no count."""
    before = ""
    for number, after in pairwise(text.values):
        if isinstance(number, ast.Constant):
            before = str(number.value)
        elif isinstance(after, ast.Constant) and not before.endswith("of "):
            yield str(after.value)
