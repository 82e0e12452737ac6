"""The state of a process as the kernel and its control group tell it."""

from pathlib import Path

import pytest

from kiqdoctor.probes.threads.tasks import state


@pytest.mark.parametrize(("kind", "file", "said", "told"), [
    ("cgroup2", "cgroup.events", "populated 1\nfrozen 1\n", "frozen"),
    ("cgroup2", "cgroup.events", "populated 1\nfrozen 0\n", "sleeping"),
    ("cgroup", "freezer.state", "FROZEN\n", "frozen"),
    ("cgroup", "freezer.state", "THAWED\n", "sleeping"),
])  # fmt: skip
def test_one_whose_group_is_frozen_is_not_asleep(kind: str, file: str, said: str, told: str, tmp_path: Path) -> None:
    group, process, own = tmp_path / "groups/shop", tmp_path / "7", tmp_path / "self"
    for folder in (group, process, own):
        folder.mkdir(parents=True)
    group.joinpath(file).write_text(said)
    options = "rw" if kind == "cgroup2" else "rw,freezer"
    own.joinpath("mountinfo").write_text(f"30 25 0:26 / {tmp_path}/groups rw - {kind} cgroup {options}\n")
    process.joinpath("cgroup").write_text("0::/shop\n" if kind == "cgroup2" else "3:freezer:/shop\n")
    process.joinpath("stat").write_text("7 (x) S 1 7 7 0\n")

    assert state(7, tmp_path) == told
