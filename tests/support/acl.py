"""The smallest ACL of a worker, as docs/runtime.md has it."""

from pathlib import Path
from typing import Final

_PAGE: Final = Path(__file__).parents[2] / "docs" / "runtime.md"
_WORDS: Final = _PAGE.read_text(encoding="utf-8").partition("### The smallest ACL")[2].split("```")[1].split()
KEYS: Final = tuple(word.removeprefix("~") for word in _WORDS if word.startswith("~"))
COMMANDS: Final = tuple(word for word in _WORDS if word.startswith("+"))
