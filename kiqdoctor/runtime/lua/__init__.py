"""Scripts, each a file of its own with its keys, arguments and cost on top."""

import re
from functools import cache
from importlib.resources import files

_INCLUDE = re.compile(r"^-- include (\w+)$", re.MULTILINE)


@cache
def source(name: str) -> str:
    """The text of a script, with what it includes."""
    text = files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda found: source(found[1]), text)
