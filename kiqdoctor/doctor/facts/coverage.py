"""What this examination could not see: the engine's own fact, never refused."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """One fact that was refused, why, what would unlock it, and the checks that went without."""

    fact: str
    reason: str
    unlock: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every gap, every probe's cost, and how many facts were read."""

    gaps: tuple[Gap, ...] = ()
    read: int = 0
    partial: tuple[str, ...] = ()
