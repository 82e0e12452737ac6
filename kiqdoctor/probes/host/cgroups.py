"""A process's control groups, of either version, where this process sees them mounted."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from kiqdoctor.probes.host.files import read
from kiqdoctor.wire.numbers import whole

UNIFIED: Final = ""  # how version 2 is called where version 1 has a controller's name
MOST_ABOVE: Final = 32  # groups above one


class Group(NamedTuple):
    """One controller's group of a process: its folder, its name there, and where the mount begins."""

    controller: str
    folder: Path
    name: str
    mount: Path

    @property
    def above(self) -> Iterator[Path]:
        """Its folder and those of the groups above it, as far up as is to be seen."""
        folders = (self.folder, *self.folder.parents)[:MOST_ABOVE]
        return (one for one in folders if one.is_relative_to(self.mount))


def groups(process: Path, mounts: dict[str, tuple[str, Path]]) -> dict[str, Group]:
    """By controller; one whose folder cannot be seen from here is left out."""
    found: dict[str, Group] = {}
    for line in _lines(process / "cgroup"):
        controllers, _, path = line.partition(":")[2].partition(":")
        for controller in controllers.split(","):
            root, mount = mounts.get(controller, ("", Path()))
            if root and Path(path).is_relative_to(root):
                found[controller] = Group(controller, mount / Path(path).relative_to(root), path, mount)
    return found


def mounted(proc: Path) -> dict[str, tuple[str, Path]]:
    """Where each controller is mounted for this process, and which group lies there."""
    found: dict[str, tuple[str, Path]] = {}
    for line in _lines(proc / "self/mountinfo"):
        place, _, about = (part.split() for part in line.partition(" - "))
        if len(place) > 4 and about and about[0] in {"cgroup", "cgroup2"}:  # noqa: PLR2004 - root and mount point
            names = [UNIFIED] if about[0] == "cgroup2" else about[-1].split(",")
            found |= dict.fromkeys(names, (place[3], Path(place[4])))
    return found


def number(file: Path) -> int | None:
    """A file that holds one number; None where it holds none ("max") or cannot be read."""
    return whole((read(file) or b"").strip())


def numbers(file: Path) -> dict[str, int]:
    """A file of lines "name number"."""
    pairs = (line.split() for line in _lines(file))
    return {pair[0]: found for pair in pairs if len(pair) == 2 and (found := whole(pair[1])) is not None}  # noqa: PLR2004


def throttled(own: dict[str, Group]) -> tuple[int, int] | None:
    """In how many periods a process was throttled, of how many there were; None where no quota is set."""
    group = own.get("cpu") or own.get(UNIFIED)
    told = numbers(group.folder / "cpu.stat") if group else {}
    return (told.get("nr_throttled", 0), told["nr_periods"]) if told.get("nr_periods") else None


def frozen(own: dict[str, Group]) -> bool:
    """Whether a process is frozen by its group, or by one above."""
    old, new = own.get("freezer"), own.get(UNIFIED)
    if old and (read(old.folder / "freezer.state") or b"").strip() == b"FROZEN":
        return True
    return bool(new and numbers(new.folder / "cgroup.events").get("frozen"))


def _lines(file: Path) -> list[str]:
    return (read(file) or b"").decode(errors="replace").splitlines()
