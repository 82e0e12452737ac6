"""What a worker is told at its start."""

from dataclasses import dataclass

from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.config import Settings


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker is told."""

    settings: Settings
    capsule: Capsule
    timeout_s: float = 25.0
    fetch: str = "reliable"
    tag: str = ""
    environment: str = ""
    embedded: bool = False
    health: str = ""
    again: bool = False  # another process of ours may still have the port of health checks
