"""Writes what is kept of the view: a snapshot, a picture of the screen; and says where, or why not."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from kiqdoctor.clock import Clock
from kiqdoctor.regex import regex
from kiqdoctor.top import words
from kiqdoctor.top.feed import Look, WholeExamination
from kiqdoctor.top.view import View

FONTS: Final = regex(r"@font-face\s*+\{[^}]{0,2000}\}")
"""A picture must not ask anybody for a font."""
ELSEWHERE: Final = "nothing is saved from a browser"


class Saving:
    """Into one folder; ``None``: nothing is written, for who looks on is somewhere else."""

    def __init__(self, view: View, folder: Path | None, clock: Clock) -> None:
        self._view, self._folder, self._clock = view, folder, clock

    def snapshot(self, look: Look | None, examination: WholeExamination | None) -> None:
        """The look, with the facts of the last examination."""
        source, folder = self._view.source, self._folder
        if folder is None:
            self._view.tell(ELSEWHERE, "warning")
            return
        if source is None or look is None:
            self._view.tell("there is nothing to save" if source else "this is a recording already", "warning")
            return
        self._view.background(lambda: _attempt(lambda: source.save(look, examination, folder)), self._saved)

    def picture(self, label: str, svg: str) -> None:
        """The screen, which needs nothing from anywhere."""
        if self._folder is None:
            self._view.tell(ELSEWHERE, "warning")
            return
        moment = words.moment(self._clock.now()).replace(" ", "T").replace(":", "")
        path, text = self._folder / f"kiqdoctor-{label.lower()}-{moment}.svg", FONTS.sub("", svg)
        self._saved(_attempt(lambda: _written(path, text)))

    def _saved(self, told: Path | OSError) -> None:
        if isinstance(told, OSError):
            self._view.tell(f"cannot write {told.filename or self._folder}: {told.strerror or told}", "error")
        else:
            self._view.tell(f"saved {told}", "information")


def _attempt(write: Callable[[], Path]) -> Path | OSError:
    try:
        return write()
    except OSError as error:
        return error


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
