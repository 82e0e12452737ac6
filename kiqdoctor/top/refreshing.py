"""Looks and examines when it is time; neither while another of its kind is under way."""

from collections.abc import Callable
from typing import Final

from kiqdoctor.top.changing import Changing
from kiqdoctor.top.feed import Feed, Look, LostError, WholeExamination
from kiqdoctor.top.state import ViewState
from kiqdoctor.top.view import View

NOTES: Final = 3  # of new findings at once


class Refreshing:
    """Of one installation; ``draw`` is called when there is something else to see."""

    def __init__(
        self, view: View, source: Feed, state: ViewState, changing: Changing, draw: Callable[[], None]
    ) -> None:
        self._view, self._source, self._state, self._changing, self._draw = view, source, state, changing, draw
        self._looking = self._examining = False

    def tick(self, also: frozenset[type]) -> None:
        """Look and examine where that is due; what is shown gets older meanwhile."""
        if self._state.examination_due():
            self.examine()
        if self._state.look_due():
            self.look(also)
        else:
            self._draw()

    def look(self, also: frozenset[type]) -> None:
        """Now, with these facts."""
        if self._looking:
            self._draw()  # it takes long: what is shown gets older
            return
        self._looking = True
        self._view.background(lambda: _looked(self._source, also), self._looked, self._look_failed)

    def _looked(self, look: Look | LostError) -> None:
        self._looking = False
        if isinstance(look, LostError):
            self._view.tell(self._state.lost(str(look)), "error")
        else:
            self._view.tell(self._state.found(look), "information")
            self._changing.find_out_again()
        self._draw()

    def _look_failed(self) -> None:
        self._looking = False

    def examine(self) -> None:
        """Now."""
        if not self._examining:
            self._examining = True
            self._state.examining()
            self._view.background(self._source.examine, self._examined, self._examination_failed)

    def _examined(self, examination: WholeExamination) -> None:
        self._examining = False
        for title in self._state.examined(examination)[:NOTES]:
            self._view.tell(f"new: {title}", "warning")
        self._draw()

    def _examination_failed(self) -> None:
        self._examining = False


def _looked(source: Feed, also: frozenset[type]) -> Look | LostError:
    try:
        return source.look(also)
    except LostError as error:
        return error
