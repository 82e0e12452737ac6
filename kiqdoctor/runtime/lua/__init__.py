"""Scripts, each a file of its own with its keys, arguments and cost on top."""

from functools import cache
from importlib.resources import files


@cache
def source(name: str) -> str:
    """The text of a script."""
    return files(__name__).joinpath(f"{name}.lua").read_text(encoding="utf-8")
