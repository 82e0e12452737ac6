"""Which signals a process catches: one that it does not catch may stop or end it."""

from pathlib import Path

from kiqdoctor.probes.threads.attach import fields


def catches(folder: Path, number: int) -> bool:
    """Whether the process of this folder of /proc has a handler for the signal; no where that cannot be read."""
    return bool(int(fields(folder / "status").get("SigCgt", "0"), 16) >> (number - 1) & 1)
