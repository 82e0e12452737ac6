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


def beside(verdicts: Iterable[Verdict], *live: object) -> Iterator[Verdict]:
    """What files say, beside facts of what lives: that the question does not arise in files decides for both only where
    nothing live was looked at.
    """
    looked = not any(isinstance(one, Absent) for one in live)
    return (one for one in verdicts if not (looked and isinstance(one, NotApplicable)))


def unseen(*live: object, judged: bool) -> Iterator[Verdict]:
    """What is said of live facts that are missing; ``judged``: files were judged in their place."""
    refused = [one for one in live if isinstance(one, Refused)]
    yield from (Unknown(one.reason, one.unlock) for one in refused)
    absent = next((one for one in live if isinstance(one, Absent)), None)
    if absent is not None and not refused and not judged:
        yield NotApplicable(absent.reason)
