"""What a check says that can be judged from files, from what was seen live, or from both."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.verdict import NotApplicable, Unknown, Verdict

Live = TypeVar("Live")
Files = TypeVar("Files")


def either(
    live: Live | Refused | Absent,
    files: Files | Refused | Absent,
    seen: Callable[[Live], Iterable[Verdict]],
    read: Callable[[Files], Iterable[Verdict]],
) -> Iterator[Verdict]:
    """The verdicts of each half that there is; a live half that was refused is unknown whatever the files say."""
    if not isinstance(files, Refused | Absent):
        yield from read(files)
    if isinstance(live, Refused):
        yield Unknown(live.reason, live.unlock)
    elif not isinstance(live, Absent):
        yield from seen(live)
    elif isinstance(files, Refused | Absent):
        yield NotApplicable(f"{live.reason}; {files.reason}")
