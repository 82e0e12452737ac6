"""Applications of a few files, and what the probes of their code read of them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from kiqdoctor import probes
from kiqdoctor.doctor.facts.code import Code, Site
from kiqdoctor.doctor.facts.deployment import Deployment, Starts
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.probe import AbsenceError, Probe
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.probes.tree.tree import Tree

Fact = TypeVar("Fact")
CODE = "kiqdoctor.probes.code"
BESIDE = {Deployment, Starts, RedisSettings}


def application(root: Path, **written: str | bytes) -> Tree:
    """The tree of these files; in their names `__` is a slash and `_DOT_` a dot."""
    for name, content in written.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return Tree(root)


def readers() -> list[Probe]:
    """The probes of code and of what stands beside it, each after those that it needs."""
    ours = [one for one in probes.every() if one.fact in BESIDE or one.read.__module__.startswith(CODE)]
    return sorted(ours, key=lambda one: len(one.needs))


def looked(tree: Tree, snapshot: Snapshot) -> Snapshot:
    """The snapshot with all that is read of this code."""
    for reader in readers():
        arguments: dict[str, Any] = {
            need.name: tree if need.kind is Tree else snapshot.get(need.kind) for need in reader.needs
        }
        asked = [arguments[need.name] for need in reader.needs if not need.optional]
        missing = [one for one in asked if isinstance(one, Absent | Refused)]
        if missing:
            snapshot = snapshot.without(reader.fact, missing[0])
            continue
        try:
            snapshot = snapshot.with_(reader.read(**arguments))
        except AbsenceError as error:
            snapshot = snapshot.without(reader.fact, Absent(str(error)))
    return snapshot


def read(tree: Tree, kind: type[Fact]) -> Fact:
    """One fact of this code."""
    found = looked(tree, Snapshot()).get(kind)
    assert isinstance(found, kind), found
    return found


def lines(tree: Tree, kind: type[Any]) -> Iterator[tuple[Any, str, int, tuple[str, ...]]]:
    """Each site of a fact with its path, line, and the chain that leads there."""
    snapshot = looked(tree, Snapshot())
    code, fact = snapshot.get(Code), snapshot.get(kind)
    assert isinstance(code, Code)
    assert isinstance(fact, kind)
    for site in fact.sites:
        assert isinstance(site, Site)
        place = code.place(site)
        yield site, place.path, place.line, code.chain(site)
