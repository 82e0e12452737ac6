"""A glance at an application's files, with no check to judge them."""

from pathlib import Path
from typing import Any

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.carry_out import carry_out
from kiqdoctor.doctor.pack import home
from kiqdoctor.doctor.plan import plan
from kiqdoctor.doctor.snapshot import Absent, Snapshot
from kiqdoctor.doctor.tools import Application, Host, Pack, Redis, Settings
from kiqdoctor.examining.parts import every_probe
from kiqdoctor.probes.tree.tree import Tree


def glance(root: Path, facts: tuple[type, ...], clock: Clock, python: Path | None = None) -> Snapshot:
    """These facts, as far as files tell them; ``python``: the interpreter or environment that was named."""
    nothing_live = Absent("only files are looked at")
    readers = [one for one in every_probe() if not one.live]
    tools: dict[type, Any] = {Application: Application(root, python), Tree: Tree(root), Pack: Pack(home())}
    tools |= {Settings: Settings(), Redis: nothing_live, Host: nothing_live}
    return carry_out(plan([], readers, facts), tools, {}, 0.0, clock)
