"""What lies over the tabs: a page to read, a question before anything is sent."""

from collections.abc import Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from kiqdoctor.actions import Proposal, Verb
from kiqdoctor.text import LONG, clean
from kiqdoctor.top import keys, paint
from kiqdoctor.top.lines import Lines, OneLine
from kiqdoctor.top.paint import Line

CSS: Final = """
Dialog { align: center middle; }
Dialog > Vertical { width: 92%; height: 90%; max-width: 140; border: round $accent; background: $surface; }
Dialog.question > Vertical { height: auto; max-height: 90%; }
"""
TALLEST: Final = 20  # lines of a question that are seen at once


class Dialog(ModalScreen[str]):
    """A page with a title; esc leaves it. ``verbs``: keys that leave it to do something to what it shows."""

    DEFAULT_CSS = CSS
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,enter", "leave", show=False),
        Binding("y", "copy", show=False),
    ]

    def __init__(
        self, title: str, lines: Sequence[Line], *, id_here: str = "", verbs: frozenset[Verb] = frozenset()
    ) -> None:
        super().__init__()
        self.heading, self.lines, self.id_here, self.verbs = title, lines, id_here, verbs

    def compose(self) -> ComposeResult:
        """Title, page, keys."""
        with Vertical():
            title, foot = OneLine(), OneLine()
            title.set([("strong", clean(self.heading))])
            foot.set([("dim", self.foot)])
            yield title
            yield Lines(lambda _width, _height: self.lines)
            yield foot

    def add(self, lines: Sequence[Line]) -> None:
        """Lines that came later."""
        self.lines = [*self.lines, *lines]
        if self.is_attached:
            self.query_one(Lines).draw()

    @property
    def foot(self) -> str:
        """The keys."""
        able = [f"{key.shown} {verb.value}" for verb, key in keys.WRITING.items() if verb in self.verbs]
        return "  ".join(["esc back", *(["y copy id"] if self.id_here else []), *able])

    def on_mount(self) -> None:
        """Keys scroll the page."""
        self.query_one(Lines).focus()

    def on_key(self, event: object) -> None:
        """A verb's key leaves with it."""
        pressed = getattr(event, "character", None)
        for verb, key in keys.WRITING.items():
            if verb in self.verbs and pressed == key.keys:
                self.dismiss(verb.value)

    def action_leave(self) -> None:
        """Back."""
        self.dismiss("")

    def action_copy(self) -> None:
        """The id, cleaned: it goes to the terminal."""
        if self.id_here:
            self.app.copy_to_clipboard(clean(self.id_here, LONG))


class Question(Dialog):
    """What will be sent, what that means, how it is undone; only ``y`` says yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "yes", show=False),
        Binding("n,escape,q", "leave", show=False),
    ]

    def __init__(self, proposal: Proposal) -> None:
        lines: list[Line] = [
            [("dim", "Redis will be sent")],
            *([("strong", f"  {clean(one, 400)}")] for one in proposal.sent),
            [],
        ]
        lines += [[("", clean(proposal.effect, LONG))], [("dim", "undo: "), ("", clean(proposal.undo, LONG))]]
        super().__init__(f"{proposal.title}?", lines)
        self.add_class("question")

    def on_mount(self) -> None:
        """As high as its lines."""
        super().on_mount()
        lines = self.query_one(Lines)
        lines.styles.height = min(len(paint.wrapped(self.lines, int(self.app.size.width * 0.9) - 4)), TALLEST)

    @property
    def foot(self) -> str:
        """Yes and no."""
        return "y yes, send it   n no"

    def action_yes(self) -> None:
        """Send it."""
        self.dismiss("yes")


def help_lines(pane_name: str, pane_keys: Sequence[tuple[str, str]], why_not: str) -> list[Line]:
    """Every key, those of the tab first. ``why_not``: the reason why nothing can be changed."""
    lines: list[Line] = []
    if pane_keys:
        lines += [[("strong", f"on {pane_name}")], *(_key(shown, says) for shown, says in pane_keys), []]
    groups = (("tables", keys.TABLES), ("time", keys.TIME), ("everywhere", (*keys.LOOKING, *keys.GOING)))
    for name, group in groups:
        lines += [[("strong", name)], *(_key(one.shown, one.says) for one in group), []]
    if why_not:
        return [*lines, [("warn", f"read-only: {clean(why_not, LONG)}")]]
    changing = (*keys.WRITING.values(), keys.UNDO)
    return [
        *lines,
        [("strong", "what changes something; it is asked first")],
        *(_key(one.shown, one.says) for one in changing),
    ]


def _key(shown: str, says: str) -> Line:
    return [("accent", f"  {shown:<14}"), ("", says)]
