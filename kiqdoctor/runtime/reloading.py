"""Development: which of the application's source files have changed since this process began."""

import sys
import sysconfig
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

LOOK: Final = 0.5  # seconds between two looks
_LIBRARIES: Final = tuple(
    {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    | {str(Path(__file__).parents[1])}
)
Stamps = dict[Path, int]


def sources() -> Stamps:
    """When each file was written that lies beside an imported module of the application's; nanoseconds."""
    named = [file for module in list(sys.modules.values()) if (file := getattr(module, "__file__", None))]
    folders = {Path(file).parent for file in named if file.endswith(".py") and not file.startswith(_LIBRARIES)}
    found: Stamps = {}
    for folder in folders:
        for path in folder.glob("*.py"):
            with suppress(OSError):
                found[path] = path.stat().st_mtime_ns
    return found


def changed(before: Stamps, after: Stamps) -> Path | None:
    """A file that was written, added or removed between the two."""
    return next((path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)), None)


def watch(since: int, tell: Callable[[str], object]) -> threading.Thread:
    """A thread that tells of each change; ``since``: epoch nanoseconds when the application began to be imported."""

    def run() -> None:
        known = sources()
        folders, now = {path.parent for path in known}, time.time_ns()
        for path, written in known.items():
            if since < written <= now:  # while it was being imported: which text was read is unknown
                tell(path.name)
                break
        while True:
            time.sleep(LOOK)
            fresh = sources()  # a folder that is new among them was imported late: nothing was written there
            if (new := changed(known, {one: at for one, at in fresh.items() if one.parent in folders})) is not None:
                tell(new.name)
            known, folders = fresh, {one.parent for one in fresh}

    thread = threading.Thread(target=run, daemon=True, name="kiq.reload")
    thread.start()
    return thread
