"""Version numbers from outside: a number, or none."""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from packaging.version import Version

LONGEST: Final = 100  # characters; Python refuses to make a number of more than 4,300 digits


def version_of(text: str) -> "Version | None":
    """The version that a text names; None where it names none."""
    from packaging.version import InvalidVersion, Version  # 10 ms that only versions cost

    try:
        return Version(text) if len(text) <= LONGEST else None
    except InvalidVersion:
        return None
