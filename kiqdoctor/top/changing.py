"""Asks before anything is changed, does it, tells what came of it, and takes it back."""

from collections.abc import Callable

from kiqdoctor.actions import Done, Proposal
from kiqdoctor.top.dialogs import Question
from kiqdoctor.top.feed import Writing
from kiqdoctor.top.view import View

PROBLEMS = 3  # that are told; they are alike


class Changing:
    """What may be changed, and what was: the last of it can be undone."""

    def __init__(self, view: View, find_out: Callable[[], Writing]) -> None:
        self._view, self._find_out = view, find_out
        self.writing = Writing(reason="not known yet")
        self.done: list[Done] = []

    def find_out(self) -> None:
        """Whether anything may be changed: that is Redis' to say."""
        self._view.background(self._find_out, self._found_out)

    def _found_out(self, writing: Writing) -> None:
        self.writing = writing
        self._view.rebind()

    def find_out_again(self) -> None:
        """Where it could not be asked before."""
        if self.writing.ask_again:
            self.writing = Writing(reason="asking again")
            self.find_out()

    @property
    def able(self) -> bool:
        """Whether anything may be changed."""
        return self.writing.actions is not None

    def ask(self, propose: Callable[[], Proposal]) -> None:
        """Make the proposal, ask, and carry it out if the answer is yes."""
        if not self.able:
            self._view.tell(f"read-only: {self.writing.reason}", "warning")
            return
        try:
            made = propose()
        except ValueError as error:
            self._view.tell(str(error), "warning")
            return
        self._view.push_screen(Question(made), lambda said: self._carry_out(made) if said else None)

    def _carry_out(self, proposal: Proposal) -> None:
        actions = self.writing.actions
        if actions is not None:
            self._view.background(lambda: actions.carry_out(proposal), self._carried_out)

    def _carried_out(self, done: Done) -> None:
        undo = ""
        if done.reversal is not None:
            self.done.append(done)
            undo = "; u undoes it"
        gone = f", {done.gone} had left before" if done.gone else ""
        self._told(f"{done.proposal.title}: {done.changed} done{gone}{undo}", done)

    def undo(self) -> None:
        """What was done last."""
        actions = self.writing.actions
        if actions is None or not self.done:
            self._view.tell("there is nothing to undo", "warning")
            return
        done = self.done.pop()
        self._view.background(lambda: actions.undo(done), self._undone)

    def _undone(self, done: Done) -> None:
        gone = f", {done.gone} could not be: they have gone on" if done.gone else ""
        self._told(f"undone: {done.changed}{gone}", done)

    def _told(self, text: str, done: Done) -> None:
        self._view.tell(text, "information" if done.changed else "warning")
        for problem in done.problems[:PROBLEMS]:
            self._view.tell(problem, "error")
        self._view.changed()
