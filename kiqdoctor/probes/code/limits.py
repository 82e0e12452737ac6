"""How libraries limit a call over the network."""

from typing import Final

from kiqdoctor.doctor.facts.code import Timeout
from kiqdoctor.records import dataclass

Limit = tuple[Timeout, float | None]
"""What limits a call, and for how many seconds where that is a number."""
HTTP: Final = ("get", "post", "put", "patch", "delete", "head", "options", "request")


@dataclass(frozen=True, slots=True)
class Library:
    """How a call is limited: the arguments that say it, the position of one, and what holds where none does."""

    keywords: tuple[str, ...] = ("timeout",)
    position: int | None = None
    default: Timeout = Timeout.NONE
