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
_TELLING_MORE: Final = (BaseExceptionGroup, SyntaxError, NameError, AttributeError, ImportError)
_places: dict[tuple[int, int], tuple[CodeType, str]] = {}
"""By the identity of the code, which is kept with it: its own hash is reckoned anew each time, from all it holds."""


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
    text = text.rstrip()
    return text if text.count("\n") < SHOWN else "\n".join(text.split("\n")[-SHOWN:])


@lru_cache(maxsize=256)
def _cleaned(words: str) -> str:
    return clean(words, LONG, lines=True)


def _plain(error: BaseException) -> bool:
    """Whether nothing is told beside its own frames and words."""
    return (
        error.__cause__ is None
        and (error.__context__ is None or error.__suppress_context__)
        and not getattr(error, "__notes__", None)
        and not isinstance(error, _TELLING_MORE)
    )


def _name(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _frames(trace: TracebackType | None) -> list[str]:
    found: list[str] = []
    while trace is not None:
        code = trace.tb_frame.f_code
        place = (id(code), trace.tb_lasti)
        known = _places.get(place)
        if known is None:
            if len(_places) >= KNOWN:
                _places.clear()
            known = _places[place] = (code, clean("".join(traceback.format_tb(trace, 1)), LONG, lines=True))
        found.append(known[1])
        trace = trace.tb_next
    return found
