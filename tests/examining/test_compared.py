"""Two dumps beside each other: who stood still is told first."""

import json
from pathlib import Path
from typing import Any

from doctoring import kiqdoctor


def dump(file: Path, *threads: tuple[str, int]) -> Path:
    found: list[dict[str, Any]] = [
        {"id": name, "name": name, "job": None, "frames": [{"function": "f", "file": "a\x1b.py", "line": line}]}
        for name, line in threads
    ]
    file.write_text(json.dumps({"schema": "kiqdoctor.dump/2", "threads": found}), encoding="utf-8")
    return file


def test_what_stood_still_moved_came_and_went(tmp_path: Path) -> None:
    one = dump(tmp_path / "a", ("still", 1), ("moves", 1), ("goes", 1))
    other = dump(tmp_path / "b", ("still", 1), ("moves", 2), ("comes", 1))
    ran = kiqdoctor("dump", "--compare", str(one), str(other))

    assert ran.status == 0
    assert ran.out.splitlines()[:2] == ["1 thread stood still, 1 moved, 1 came, 1 went", "stood still: still"]
    assert "\x1b" not in ran.out
    assert [line.split(":")[0] for line in ran.out.splitlines() if line[0] != " "][1:] == [
        "stood still", "moved", "came", "went",
    ]  # fmt: skip


def test_what_is_no_dump_is_refused(tmp_path: Path) -> None:
    good, bad = dump(tmp_path / "a"), tmp_path / "b"
    for text in ("[", "{}", '{"schema": "kiqdoctor.dump/1", "threads": []}', '{"schema": "kiqdoctor.dump/2"}'):
        bad.write_text(text, encoding="utf-8")
        assert kiqdoctor("dump", "--compare", str(good), str(bad)).status == 2
    assert kiqdoctor("dump").status == 2
