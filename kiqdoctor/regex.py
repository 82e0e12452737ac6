"""Regular expressions that are compiled when they are first used, for a command uses few of those that it loads.

Two hundred patterns at module level were 25 ms of every command's start.
"""

import re
from typing import TYPE_CHECKING, Any


class Later:
    """Stands for a pattern, whose methods it takes over one by one as they are asked for."""

    def __init__(self, source: Any, flags: int = 0) -> None:
        self._told = (source, flags)

    def __getattr__(self, name: str) -> Any:
        """What was asked for once stands beside ``_told``, and never comes here again."""
        if name.startswith("_"):  # whoever copies it asks for such
            raise AttributeError(name)
        found = self.__dict__[name] = getattr(re.compile(*self._told), name)
        return found


if TYPE_CHECKING:
    regex = re.compile
else:
    regex = Later
