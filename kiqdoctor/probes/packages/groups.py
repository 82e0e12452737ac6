"""What packages are there for: which groups ask for each, by themselves or through others."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from kiqdoctor.doctor.facts.packages import TRIALS, Package
from kiqdoctor.regex import regex

DEFAULT: Final = "default"
_WORD: Final = regex(r"[^a-z0-9]+")


def of_file(path: str) -> str:
    """``requirements/docs.txt`` and ``requirements-dev.txt`` are for what their names say; others for production."""
    name = path.rpartition("/")[2].lower()
    return next((word for word in _WORD.split(name) if word in TRIALS), DEFAULT)


def grouped(
    packages: Iterable[Package], needs: Mapping[str, Iterable[str]], asked: Mapping[str, Iterable[str]]
) -> list[Package]:
    """The packages with the groups from which each is reached. ``needs``: by name; ``asked``: names by group.

    One that no group leads to stays as it is: nobody knows who asks for it.
    """
    groups: dict[str, set[str]] = {}
    for group, names in asked.items():
        todo, seen = list(names), set(names)
        while todo:
            name = todo.pop()
            groups.setdefault(name, set()).add(group)
            new = set(needs.get(name, ())) - seen
            seen |= new
            todo += new
    return [replace(one, groups=_ordered(groups[one.name])) if one.name in groups else one for one in packages]


def as_locked(installed: Iterable[Package], locked: Iterable[Package]) -> list[Package]:
    """What is installed, with the groups that the files give it: a developer's environment holds all of them."""
    groups: dict[str, set[str]] = {}
    for one in locked:
        groups.setdefault(one.name, set()).update(one.groups)
    return [replace(one, groups=_ordered(groups[one.name])) if one.name in groups else one for one in installed]


def _ordered(groups: set[str]) -> tuple[str, ...]:
    """Production's first."""
    return tuple(sorted(groups, key=lambda one: (one != DEFAULT, one)))
