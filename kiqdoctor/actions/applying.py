"""Carries steps out and takes them back, each change once, whatever becomes of the connection meanwhile."""

from typing import Final

from kiqdoctor.actions.exact import Change, request
from kiqdoctor.actions.writing import Writer, script
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.connection import Address, ConnectError
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.keys import Keys

KEPT: Final = 30 * 24 * 3600  # seconds that it is known what was done
TRIES: Final = 4  # a request is sent under the same number until its answer is there
BETWEEN: Final = 1.0  # seconds
_WHY: Final = {
    "gone": "what it is about is gone",
    "there": "what had to be gone is there again",
    "changed": "it changed since it was looked at",
    "size": "there is more of it than there was",
    "type": "a key is of another type by now",
}
_NAMED: Final = regex(r"to run the '([a-z|]+)' command")


@dataclass(frozen=True, slots=True)
class Outcome:
    """So many edits were made (or taken back), so many could not be taken back; ``why`` it stopped, "" where not.

    ``away``: Redis does not answer, so that whatever follows needs not be tried.
    """

    changed: int = 0
    left: int = 0
    why: str = ""
    away: bool = False


class Applying:
    """One run of ``fix``, known by its token: what is asked for twice is done once."""

    def __init__(self, address: Address, namespace: str | None, token: str, clock: Clock = SYSTEM) -> None:
        self._writer = Writer(address, "kiqdoctor-fix")
        self._mark, self._clock = Keys(namespace).fixed(token), clock

    def carry_out(self, change: Change, number: int) -> Outcome:
        """Do it; asked again, it tells what was done the first time."""
        return self._asked(change, number, undo=False)

    def undo(self, change: Change, number: int) -> Outcome:
        """Take back what was done of it and still is as it was left."""
        return self._asked(change, number, undo=True)

    def close(self) -> None:
        """Leave."""
        self._writer.close()

    def _asked(self, change: Change, number: int, *, undo: bool) -> Outcome:
        keys, words = request(change, number, undo=undo, kept=KEPT, mark=self._mark)
        last = ""
        for tried in range(TRIES):
            if tried:
                self._clock.sleep(BETWEEN)
            try:
                [reply] = self._writer.send([("EVAL", script("change"), len(keys), *keys, *words)])
            except ConnectError as error:
                last = f"Redis went away ({error.step}: {clean(str(error))}); fix --undo knows what was done"
                continue
            return self._read(reply)
        return Outcome(why=last, away=True)

    def _read(self, reply: object) -> Outcome:
        if isinstance(reply, Exception):
            return Outcome(why=self._refused(str(reply)))
        words = [decode(one) for one in reply if isinstance(one, bytes)] if isinstance(reply, list) else []
        if len(words) != 2:  # noqa: PLR2004 - a word and what it is about
            return Outcome(why=f"Redis answered {clean(repr(reply))}")
        if words[0] == "stopped":
            return Outcome(why=_WHY.get(words[1], clean(words[1])))
        return Outcome(words[1].count("1"), words[1].count("x"))

    def _refused(self, said: str) -> str:
        """What the server says, with the permission that it misses."""
        text = f"Redis refuses: {clean(' '.join(said.split()))}"
        named = _NAMED.search(said)
        return f"{text}; to allow it: ACL SETUSER {clean(self._writer.user)} +{named[1]}" if named else text
