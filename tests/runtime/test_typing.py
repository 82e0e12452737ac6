"""What mypy sees of a job: its parameters at each way to push it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = """
from collections.abc import Iterator
from kiqdoctor import job

@job
def plain(path: str, width: int = 80) -> None: ...

@job(queue="mail", retry=5)
def named(address: str, *, loud: bool = False) -> str:
    return address

@job
def steps(table: str, *, cursor: int | None = None) -> Iterator[int]:
    yield 1

plain.perform_async("a.png", 80)
plain.perform_async(path="a.png")
named.perform_in(60, "a@example.org", loud=True)
steps.perform_async("users")
text: str = named("a@example.org")
plain.perform_async()  # wrong
plain.perform_async("a.png", "wide")  # wrong
plain.perform_async(paht="a.png")  # wrong
named.perform_in(60, "a@example.org", loud="yes")  # wrong
named.perform_at(60.0, 5)  # wrong
named("a@example.org", True)  # wrong
number: int = named("a@example.org")  # wrong

async def push() -> str:
    await plain.aperform_async("a.png", width=5)
    await plain.aperform_async(5)  # wrong
    await named.aperform_at(60.0)  # wrong
    jids: list[str] = await plain.aperform_bulk([["a.png", 5]])
    return await named.aperform_in(60, "a@example.org", loud=True)
"""


@pytest.mark.real
def test_a_wrong_call_is_an_error_and_no_other_is(tmp_path: Path) -> None:
    (tmp_path / "sample.py").write_text(SAMPLE)
    root = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--show-error-codes", "--hide-error-context",
         "--follow-imports=silent", "--cache-dir", str(tmp_path / "cache"), "--config-file", "", "sample.py"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        env={"MYPYPATH": str(root), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    told = {int(line) for line in re.findall(r"^sample\.py:(\d+): error", run.stdout, re.MULTILINE)}
    wrong = {number for number, line in enumerate(SAMPLE.splitlines(), 1) if "# wrong" in line}

    assert told == wrong, run.stdout + run.stderr
