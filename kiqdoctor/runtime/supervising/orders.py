"""What the parent of workers is told."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Orders:
    """``words``: a child's command. Zero: no limit; ``stuck_after_s`` zero: a stuck child is only told."""

    words: Sequence[str]
    processes: int = 1
    timeout_s: float = 25.0
    stuck_after_s: float = 0.0
    max_jobs: int = 0
    max_rss_mib: int = 0
    log_format: str = "text"
    redis: str | None = None
    preload: bool = False

    def encode(self) -> str:
        """As one word of a command line."""
        return json.dumps(asdict(self), separators=(",", ":"))


def read(text: str) -> Orders:
    """As it was encoded."""
    return Orders(**json.loads(text))
