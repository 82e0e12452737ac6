"""Where this host's loader looks for a library."""

import os
from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import Final

from kiqdoctor.probes.native.elf import BeyondError, Elf
from kiqdoctor.probes.tree.disk import beginning
from kiqdoctor.records import dataclass

DEFAULT: Final = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")
FROM_DRIVERS: Final = (
    "libcuda.so",
    "libnvidia-",
    "libnvcuvid.so",
)  # the driver's package brings these, where there is one

MOST_LOOKS: Final = 1_000_000  # at names in folders, for all files together
LARGEST: Final = 65_536  # bytes of a configuration of the loader


@dataclass
class Loader:
    """The loader's folders; ``further`` are an environment's own (its interpreter's libraries)."""

    further: tuple[Path, ...] = ()
    conf: Path = Path("/etc/ld.so.conf")
    known: dict[str, bool] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    looks: int = MOST_LOOKS

    def __post_init__(self) -> None:
        """Read the configuration once."""
        triplets = [one for base in ("/lib", "/usr/lib") for one in Path(base).glob("*-linux-*")]
        configured = [Path(line) for line in _configured(self.conf)]
        self.folders = (*self.further, *configured, *map(Path, DEFAULT), *triplets)

    def missing(self, elf: Elf, origin: Path) -> tuple[str, ...]:
        """Needed names that neither the file's own paths nor the host's folders hold.

        Raises:
            BeyondError: the files before it used up what is looked at.
        """
        own = [Path(part.replace("$ORIGIN", str(origin)).replace("${ORIGIN}", str(origin)))
               for part in (*elf.rpath, *elf.runpath)]  # fmt: skip
        return tuple(name for name in dict.fromkeys(elf.needed) if not self._found(name, own))

    def _found(self, name: str, own: Iterable[Path]) -> bool:
        if "/" in name:
            return self._is_there(name)
        if name.startswith(FROM_DRIVERS) or any(self._is_there(folder / name) for folder in own):
            return True
        if name not in self.known:
            self.known[name] = any(self._is_there(folder / name) for folder in self.folders)
        return self.known[name]

    def _is_there(self, path: Path | str) -> bool:
        """Whether there is such a file; a name that cannot be one (too long, say) is none."""
        self.looks -= 1
        if self.looks < 0:
            raise BeyondError("the files before it used up what is looked for in one environment")
        return os.path.exists(path)  # noqa: PTH110 - raises for no name at all


def _configured(path: Path, depth: int = 0) -> list[str]:
    """Folders of ld.so.conf and what it includes."""
    try:
        lines = beginning(path, LARGEST).decode("utf-8", "replace").splitlines()
    except OSError:
        return []
    found: list[str] = []
    for line in (one.partition("#")[0].strip() for one in lines):
        if line.startswith("include ") and depth < 3:  # noqa: PLR2004 - files that include files
            pattern = line.removeprefix("include ").strip()
            base = Path(pattern).parent if pattern.startswith("/") else path.parent / Path(pattern).parent
            found += [folder for one in sorted(base.glob(Path(pattern).name)) for folder in _configured(one, depth + 1)]
        elif line.startswith("/"):
            found.append(line)
    return found
