"""What the log says of a failure: Python's traceback, cleaned, of which most is the same at every failure of a job."""

import traceback
from functools import lru_cache
from types import CodeType, TracebackType
from typing import Final

from kiqdoctor.runtime.hearing import message
from kiqdoctor.text import LONG, clean

SHOWN: Final = 50  # lines of a failure's traceback
KNOWN: Final = 2_000  # places in code whose lines are kept
HEAD: Final = "Traceback (most recent call last):\n"
_places: dict[tuple[CodeType, int], str] = {}


def traced(error: BaseException) -> str:
    """The last lines of its traceback, clean.

    Made anew, a traceback takes thirty times as long as a short job: a place's lines are read and cleaned once.
    """
    if _plain(error):
        said = message(error)
        words = _cleaned(f"{_name(error)}: {said}" if said else _name(error))
        text = f"{HEAD}{''.join(_frames(error.__traceback__)[-SHOWN:])}{words}"
    else:
        text = clean("".join(traceback.format_exception(error)), LONG, lines=True)
    return "\n".join(text.rstrip().split("\n")[-SHOWN:])


@lru_cache(maxsize=256)
def _cleaned(words: str) -> str:
    return clean(words, LONG, lines=True)


def _plain(error: BaseException) -> bool:
    """Whether nothing is told beside its own frames and words."""
    return (
        error.__cause__ is None
        and (error.__context__ is None or error.__suppress_context__)
        and not getattr(error, "__notes__", None)
        and not isinstance(error, BaseExceptionGroup | SyntaxError | NameError | AttributeError | ImportError)
    )


def _name(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _frames(trace: TracebackType | None) -> list[str]:
    found: list[str] = []
    while trace is not None:
        place = (trace.tb_frame.f_code, trace.tb_lasti)
        lines = _places.get(place)
        if lines is None:
            if len(_places) >= KNOWN:
                _places.clear()
            lines = _places[place] = clean("".join(traceback.format_tb(trace, 1)), LONG, lines=True)
        found.append(lines)
        trace = trace.tb_next
    return found
