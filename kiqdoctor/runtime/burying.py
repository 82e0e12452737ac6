"""A job that may not run again though it did not fail: it goes to the dead, and its payload says why."""

from kiqdoctor.runtime import endings
from kiqdoctor.runtime.endings import End, Ending, EndOptions
from kiqdoctor.wire.fields import STARTED
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import Payload
from kiqdoctor.wire.payload import buried as saying


class PoisonError(Exception):
    """A job was in flight each time when several processes died."""


class InterruptedOnceError(Exception):
    """A process ended while it held a job that may run at most once."""


def bury(
    keys: Keys, payload: Payload, error: Exception, options: EndOptions | None, place: str, now: float
) -> tuple[Ending, Payload]:
    """Its ending, and what death handlers are to hear: it is kept unless its payload says otherwise."""
    name = type(error).__name__.removesuffix("Error")
    said = saying(payload, f"kiqdoctor.{name}", str(error), now)
    said.fields.pop(STARTED, None)  # whoever takes it out of the dead again wants it to begin
    end = End.DEAD if said.kept else End.DROPPED
    stored = endings.buried(keys, said.encode(), now) if said.kept else ()
    return endings.ending(keys, end, said, options, place, now, stored), said
