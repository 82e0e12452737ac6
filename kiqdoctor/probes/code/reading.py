"""How a reader of sites goes through the index: function by function, those that jobs lead to first, to a bound."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final, TypeVar

from kiqdoctor.doctor.facts.code import Site
from kiqdoctor.doctor.probe import Read

if TYPE_CHECKING:  # a probe's module costs the start of every command
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method
    from kiqdoctor.probes.tree.tree import Tree

SOURCE: Final = Read("*.py, *.rb, *.ru, *.rake", "", "parsed once, whoever asks; up to 20,000 files of 1 MB")
DEADLINE: Final = 60.0  # seconds; whoever asks first makes the index
MOST_SITES: Final = 200_000  # of one kind

One = TypeVar("One", bound=Site)


def sites(
    tree: "Tree",
    python: "Callable[[Index, Function], Iterable[One]]",
    ruby: "Callable[[Index, Method], Iterable[One]]",
) -> tuple[tuple[One, ...], str]:
    """What the readers of both languages find in each function, and what was left out."""
    from kiqdoctor.probes.code.index import indexed

    return _kept(_through(indexed(tree), python, ruby))


def _through(
    index: "Index",
    python: "Callable[[Index, Function], Iterable[One]]",
    ruby: "Callable[[Index, Method], Iterable[One]]",
) -> Iterator[One]:
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

    for unit in index.units:
        if isinstance(unit, Function):
            yield from python(index, unit)
        elif isinstance(unit, Method):
            yield from ruby(index, unit)


def _kept(found: Iterable[One]) -> tuple[tuple[One, ...], str]:
    """As many as a fact holds, each once, and what is said where there are more."""
    unique = iter(dict.fromkeys(found))
    first = tuple(islice(unique, MOST_SITES))
    more = sum(1 for _ in unique)
    return first, f"{MOST_SITES} of {MOST_SITES + more} sites were kept, those that jobs lead to first" if more else ""
