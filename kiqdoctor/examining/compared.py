"""Two dumps of one process, as ``dump --format json`` wrote them: what stood still, what moved, what came and went."""

from collections.abc import Iterator
from typing import Any, Final

from kiqdoctor.doctor.counting import counted
from kiqdoctor.examining.dumped import SCHEMA
from kiqdoctor.text import clean
from kiqdoctor.wire import codec

SHOWN: Final = 3  # frames of a thread


class CompareError(Exception):
    """It is no dump; one line."""


def load(raw: bytes) -> dict[str, dict[str, Any]]:
    """Threads by id.

    Raises:
        CompareError: it is none of ours.
    """
    try:
        found = codec.decode(raw)
        if found["schema"] != SCHEMA:
            raise CompareError(f"its schema is {clean(str(found['schema']))}, not {SCHEMA}")
        return {str(one["id"]): one for one in found["threads"] if isinstance(one["frames"], list)}
    except (codec.NotJsonError, KeyError, TypeError) as error:
        raise CompareError(f"it is no dump of kiqdoctor ({type(error).__name__})") from None


def lines(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Those that stood still first: who hangs is among them."""
    both = [name for name in before if name in after]
    stood = [name for name in both if before[name]["frames"] == after[name]["frames"]]
    moved = [name for name in both if name not in stood]
    came, went = [one for one in after if one not in before], [one for one in before if one not in after]
    yield f"{counted(len(stood), 'thread')} stood still, {len(moved)} moved, {len(came)} came, {len(went)} went"
    for title, names, where in (
        ("stood still", stood, after), ("moved", moved, after), ("came", came, after), ("went", went, before)
    ):  # fmt: skip
        for name in names:
            yield f"{title}: {clean(str(where[name].get('name') or name))}{_job(where[name])}"
            if title == "moved":
                yield f"  before: {_place(before[name])}"
            yield from (f"  {_frame(one)}" for one in where[name]["frames"][:SHOWN])


def _job(one: dict[str, Any]) -> str:
    job = one.get("job")
    return f" ({clean(str(job.get('class')))} {clean(str(job.get('jid')))})" if isinstance(job, dict) else ""


def _place(one: dict[str, Any]) -> str:
    return _frame(one["frames"][0]) if one["frames"] else "no frame"


def _frame(one: Any) -> str:
    if not isinstance(one, dict):
        return "?"
    return f"{clean(str(one.get('file')))}:{clean(str(one.get('line')))} in {clean(str(one.get('function')))}"
