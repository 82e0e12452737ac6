"""What the log says of a failure: Python's traceback, cleaned, of which most is the same at every failure of a job."""

import traceback
from collections import deque
from types import CodeType, TracebackType
from typing import Final

from kiqdoctor.runtime.hearing import message
from kiqdoctor.text import LONG, clean

SHOWN: Final = 50  # lines of a failure's traceback
KNOWN: Final = 1_000  # ways through code, and messages, whose lines are kept
WORDY: Final = 1_000  # characters of a message from which on it is not kept
UNTOLD: Final = "an error whose traceback cannot be told: what it has of its own raised another"
HEAD: Final = "Traceback (most recent call last):\n"
_TELLING_MORE: Final = (BaseExceptionGroup, SyntaxError, NameError, AttributeError, ImportError)
_ways: dict[tuple[int, ...], tuple[tuple[CodeType, ...], str, int]] = {}
"""Lines, and how many, by the identities of codes, which are kept with them, and where in each: a code's own hash is
reckoned anew each time, from all it holds.
"""
_said: dict[tuple[int, str], tuple[type, str, int]] = {}
"""What stands below them, and how many lines, likewise: a class may have a hash of its own."""


def traced(error: BaseException) -> str:
    """The last lines of its traceback, clean.

    Made anew, a traceback takes thirty times as long as a short job: the lines of a way are read and cleaned once.
    """
    try:
        return _traced(error)
    except BaseException:  # noqa: BLE001 - what it has of its own, notes or a class, may raise anything when asked
        return UNTOLD


def _traced(error: BaseException) -> str:
    if (
        error.__cause__ is None
        and (error.__context__ is None or error.__suppress_context__)
        and not getattr(error, "__notes__", None)
    ):
        said = message(error)
        kind = type(error)
        known = _said.get((id(kind), said))
        _, words, more = known if known is not None else _words(kind, said)
        if more:
            lines, count = _way(error.__traceback__)
            text = f"{lines}{words}"
            return text if count + more <= SHOWN else _last(text)
    return _last(clean("".join(traceback.format_exception(error)), LONG, lines=True).rstrip())


def _last(text: str) -> str:
    return text if text.count("\n") < SHOWN else "\n".join(text.split("\n")[-SHOWN:])


def _words(kind: type[BaseException], said: str) -> tuple[type, str, int]:
    """What stands below its frames, and how many lines: 0 where Python tells more of such an error."""
    if issubclass(kind, _TELLING_MORE):
        return kind, "", 0
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    words = clean(f"{name}: {said}" if said else name, LONG, lines=True).rstrip()
    found = kind, words, words.count("\n") + 1
    if len(said) < WORDY:
        if len(_said) >= KNOWN:
            _said.clear()
        _said[id(kind), said] = found
    return found


def _way(trace: TracebackType | None) -> tuple[str, int]:
    """The lines above its words, and how many."""
    way: list[int] = []
    at = trace
    while at is not None:
        way += (id(at.tb_frame.f_code), at.tb_lasti)
        at = at.tb_next
    if len(way) > 2 * SHOWN:  # two for each frame
        return _read(trace)[1:]
    known = _ways.get(key := tuple(way))
    if known is None:
        if len(_ways) >= KNOWN:
            _ways.clear()
        known = _ways[key] = _read(trace)
    return known[1:]


def _read(trace: TracebackType | None) -> tuple[tuple[CodeType, ...], str, int]:
    frames: deque[TracebackType] = deque(maxlen=SHOWN)
    while trace is not None:
        frames.append(trace)
        trace = trace.tb_next
    text = HEAD + "".join(clean("".join(traceback.format_tb(one, 1)), LONG, lines=True) for one in frames)
    return tuple(one.tb_frame.f_code for one in frames), text, text.count("\n")
