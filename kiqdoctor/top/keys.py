"""Every key that works everywhere: declared once, for the bindings, the help, the palette and the docs."""

from dataclasses import dataclass
from typing import Final

from textual.binding import Binding

from kiqdoctor.actions import Verb
from kiqdoctor.top.tabs import TABS


@dataclass(frozen=True, slots=True)
class Key:
    """``keys``: Textual's names, by comma; ``shown``: as one reads them. ``listed``: in the palette too."""

    keys: str
    shown: str
    action: str
    says: str
    listed: bool = True


AGAIN: Final = ", ".join(f"on {tab.label} {tab.again_says}" for tab in TABS if tab.again_says)

GOING: Final = (
    *(Key(tab.key, tab.key, f"tab('{tab.label}')", f"tab {tab.label}") for tab in TABS),
    Key("left,h,shift+tab", "left h", "beside(-1)", "the tab before", listed=False),
    Key("right,l,tab", "right l", "beside(1)", "the next tab", listed=False),
    Key("escape", "esc", "out", "back; end a filter", listed=False),
)
LOOKING: Final = (
    Key("slash", "/", "filter", "filter this tab; of jobs, search all of them in Redis"),
    Key("colon", ":", "command_palette", "find an action by name", listed=False),
    Key("question_mark,f1", "?", "help", "this help"),
    Key("r", "r", "again", f"read now; {AGAIN}"),
    Key("t", "t", "threads", "thread dump of the process under the cursor"),
    Key("v", "v", "view", "on Threads: by thread, by job, by frame"),
    Key("y", "y", "copy", "copy the id under the cursor"),
    Key("s", "s", "save", "save a snapshot, for --replay here and in check"),
    Key("e", "e", "export", "export the screen as SVG"),
    Key("plus,equals_sign", "+", "zoom(1)", "a longer span of the charts"),
    Key("minus", "-", "zoom(-1)", "a shorter span of the charts"),
    Key("ctrl+l", "ctrl+l", "light", "light or dark"),
    Key("q", "q", "quit", "leave"),
)
TIME: Final = (
    Key("space", "space", "pause", "pause, or go on; a recording plays"),
    Key("left_square_bracket", "[", "scrub(-1)", "one reading back"),
    Key("right_square_bracket", "]", "scrub(1)", "one reading forward"),
    Key("left_curly_bracket", "{", "scrub_minute(-1)", "a minute back"),
    Key("right_curly_bracket", "}", "scrub_minute(1)", "a minute forward"),
)
TABLES: Final = (
    Key("", "up down j k", "", "the row before, the next row"),
    Key("", "PgUp PgDn", "", "a page"),
    Key("", "g G", "", "the first row, the last row"),
    Key("", "enter", "", "open"),
    Key("", "x A", "", "mark the row, mark all rows that are here"),
    Key("", "o O", "", "order by the next column, the other way round; or click its heading"),
)
WRITING: Final = {
    Verb.RETRY: Key("R", "R", "verb('retry')", "retry jobs of Retries or Dead now"),
    Verb.ENQUEUE: Key("E", "E", "verb('enqueue')", "enqueue scheduled jobs now"),
    Verb.DELETE: Key("D", "D", "verb('delete')", "delete jobs"),
    Verb.KILL: Key("K", "K", "verb('kill')", "kill jobs: move them to Dead"),
    Verb.PAUSE: Key("P", "P", "verb('pause')", "pause or resume queues"),
    Verb.CLEAR: Key("C", "C", "verb('clear')", "clear queues"),
    Verb.QUIET: Key("Q", "Q", "verb('quiet')", "quiet processes"),
    Verb.STOP: Key("T", "T", "verb('stop')", "stop processes"),
}
UNDO: Final = Key("u", "u", "undo", "undo what was done last")


def bindings(*, writing: bool) -> list[Binding]:
    """As Textual wants them; keys that change something only where something may be changed."""
    keys = [*GOING, *LOOKING, *TIME, *([*WRITING.values(), UNDO] if writing else [])]
    return [Binding(key.keys, key.action, key.says, show=False) for key in keys]
