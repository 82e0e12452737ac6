"""Folds findings: what follows from one stands under it, root causes first."""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from kiqdoctor.doctor.report import Reported, Result

UNCOUNTED: Final = 9  # the rank of what is suppressed: it draws nothing to the top


class Knot(msgspec.Struct, frozen=True):
    """A finding with the findings that follow from it, the worst first."""

    result: Result
    reported: Reported
    symptoms: tuple["Knot", ...] = ()

    @property
    def worst(self) -> int:
        """The rank of the worst of them all: a low cause of a critical symptom stands where that would."""
        own = UNCOUNTED if self.reported.suppressed else self.reported.severity.rank
        return min(own, *(one.worst for one in self.symptoms)) if self.symptoms else own

    @property
    def walked(self) -> Iterator[tuple["Knot", int]]:
        """Itself and what follows, each with its depth, a cause before its symptoms."""
        yield self, 0
        for one in self.symptoms:
            yield from ((knot, depth + 1) for knot, depth in one.walked)


def folded(results: Iterable[Result]) -> tuple[Knot, ...]:
    """The findings that are shown, each under the nearest that explains it; the group with the worst one first."""
    found = [(result, one) for result in results for one in result.visible]
    causes = {one.fingerprint: one.causes for _, one in reversed(found)}
    depths: dict[str, int] = {}
    parents = {one.fingerprint: _nearest(one, causes, depths) for _, one in found}
    below: dict[str, list[tuple[Result, Reported]]] = {}
    for result, one in found:
        above = "" if _circular(one.fingerprint, parents) else parents[one.fingerprint]
        below.setdefault(above, []).append((result, one))
    return _knots("", below)


def _knots(above: str, below: dict[str, list[tuple[Result, Reported]]]) -> tuple[Knot, ...]:
    """Those directly under it; of two with one fingerprint the first bears what follows."""
    made = [Knot(result, one, _knots(one.fingerprint, below)) for result, one in below.pop(above, ())]
    return tuple(sorted(made, key=lambda knot: (knot.worst, knot.reported.severity.rank, knot.result.check.id)))


def _nearest(one: Reported, causes: dict[str, tuple[str, ...]], depths: dict[str, int]) -> str:
    """Of the findings that explain it the one that is itself explained furthest: so chains are told whole."""
    able = [cause for cause in one.causes if cause in causes and cause != one.fingerprint]
    return max(able, key=lambda cause: _depth(cause, causes, depths), default="")


def _depth(fingerprint: str, causes: dict[str, tuple[str, ...]], depths: dict[str, int]) -> int:
    """How many stand above it; a circle, which checks of others may make, ends where it is met again."""
    if fingerprint not in depths:
        depths[fingerprint] = 0
        above = [cause for cause in causes[fingerprint] if cause in causes]
        depths[fingerprint] = max((1 + _depth(cause, causes, depths) for cause in above), default=0)
    return depths[fingerprint]


def _circular(fingerprint: str, parents: dict[str, str]) -> bool:
    """Whether it is, by the way up, its own cause: then it stands at the top."""
    seen, here = {fingerprint}, parents[fingerprint]
    while here and here not in seen:
        seen.add(here)
        here = parents[here]
    return here == fingerprint


def walked(results: Iterable[Result]) -> Iterator[tuple[Knot, int]]:
    """Every finding that is shown with its depth, root causes first, what follows right under them."""
    for knot in folded(results):
        yield from knot.walked
