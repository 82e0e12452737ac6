"""Which names hold what a job was handed, from the job's own parameters through the functions that it calls."""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kiqdoctor.probes.code.python.handing import held as in_python
from kiqdoctor.probes.code.python.handing import passed as python_passed
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.ruby.classes import Method
from kiqdoctor.probes.code.ruby.handing import held as in_ruby
from kiqdoctor.probes.code.ruby.handing import passed as ruby_passed

if TYPE_CHECKING:
    from kiqdoctor.probes.code.graph import Unit
    from kiqdoctor.probes.code.index import Index


class Handed:
    """By function the names that hold a job's arguments, or are made of them; attributes by their class."""

    def __init__(self, index: "Index") -> None:
        self._names: dict[Unit, frozenset[str]] = {}
        self._attributes: dict[str, frozenset[str]] = {}
        self._units: dict[str, list[Unit]] = {}
        for unit in index.units[: index.code.reached]:
            self._units.setdefault(_owner(unit), []).append(unit)
        self._follow(index)

    def names(self, unit: "Unit") -> frozenset[str]:
        """Those of one function."""
        return self._names.get(unit, frozenset()) | self._attributes.get(_owner(unit), frozenset())

    def _follow(self, index: "Index") -> None:
        """A set only grows, and has no more names than its function: so this ends."""
        todo = deque(index.units[job.function] for job in index.code.jobs)
        for unit in todo:
            self._names[unit] = _parameters(unit)
        while todo:
            unit = todo.popleft()
            for other, names in self._step(unit):
                known = self._names.get(other, frozenset())
                if not names <= known:
                    self._names[other] = known | names
                    todo.append(other)
            todo += self._kept(unit)

    def _step(self, unit: "Unit") -> "Iterator[tuple[Unit, frozenset[str]]]":
        names = _held(unit, self.names(unit))
        self._names[unit] = names
        return _passed(unit, names)

    def _kept(self, unit: "Unit") -> "list[Unit]":
        """What an object keeps of it is in the hands of all its methods."""
        owner = _owner(unit)
        kept = frozenset(one for one in self._names[unit] if one.startswith(("@", "self.")))
        known = self._attributes.get(owner, frozenset())
        if not owner or kept <= known:
            return []
        self._attributes[owner] = known | kept
        return self._units.get(owner, [])


def _owner(unit: "Unit") -> str:
    if isinstance(unit, Function):
        return unit.module.full(unit.owner) if unit.owner else ""
    return unit.owner.name if isinstance(unit, Method) and unit.owner is not None else ""


def _parameters(unit: "Unit") -> frozenset[str]:
    from kiqdoctor.probes.code.python.handing import parameters as of_python
    from kiqdoctor.probes.code.ruby.handing import parameters as of_ruby

    if isinstance(unit, Function):
        return frozenset(of_python(unit))
    return frozenset(of_ruby(unit)) if isinstance(unit, Method) else frozenset()


def _held(unit: "Unit", names: frozenset[str]) -> frozenset[str]:
    if isinstance(unit, Function):
        return in_python(unit, names)
    return in_ruby(unit, names) if isinstance(unit, Method) else names


def _passed(unit: "Unit", names: frozenset[str]) -> "Iterator[tuple[Unit, frozenset[str]]]":
    if isinstance(unit, Function):
        yield from python_passed(unit, names)
    elif isinstance(unit, Method):
        yield from ruby_passed(unit, names)
