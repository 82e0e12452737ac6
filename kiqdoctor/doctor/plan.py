"""Checks -> facts -> probes -> every read, known before anything is read."""

from collections.abc import Iterable, Mapping, Sequence

from kiqdoctor.doctor.check import SAMPLED, Check, Span
from kiqdoctor.doctor.facts.code import Ignores
from kiqdoctor.doctor.facts.engine import Coverage, Suppressions, Thresholds
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.probe import Lane, Probe
from kiqdoctor.records import dataclass

LIVE_GIVEN = frozenset({Connection, Coverage})
"""Facts that no probe reads: the composition root hands in the first, the engine makes the second."""
DECIDED = frozenset({Suppressions, Thresholds, Ignores})
"""Facts about what people decided: they are there in both halves of an examination."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The selected checks, and the probes that read what they judge, in an order that respects what probes need.

    ``sampled`` are the facts that are read again and again over a window; ``closing`` those that are read once more at
    its end, since a check judges them beside what was sampled.
    """

    checks: tuple[Check, ...]
    probes: tuple[Probe, ...]
    sampled: frozenset[type] = frozenset()
    closing: frozenset[type] = frozenset()

    def made(self, without: frozenset[type] = frozenset()) -> tuple[Probe, ...]:
        """The probes that read anything where these tools are not there: what they cannot do without is gone too."""
        gone, kept = set(without), []
        for probe in self.probes:
            if any(need.kind in gone and not need.optional for need in probe.needs):
                gone.add(probe.fact)
            else:
                kept.append(probe)
        return tuple(kept)

    @property
    def again(self) -> tuple[Probe, ...]:
        """What reads over a window: the sampled facts, and what their probes need of what moves."""
        return self._moving(self.sampled)

    @property
    def ending(self) -> tuple[Probe, ...]:
        """What reads at the window's end: the same, then what is judged beside it."""
        again = self.again
        return (*again, *(one for one in self._moving(self.sampled | self.closing) if one not in again))

    def _moving(self, facts: frozenset[type]) -> tuple[Probe, ...]:
        """A later reading made with the clock or the client count of the first would be of no moment at all.

        Files do not move.
        """
        wanted, chosen = set(facts), []
        for probe in reversed(self.probes):
            if probe.fact in self.sampled or (probe.fact in wanted and probe.lane is not Lane.FILES):
                wanted |= {need.kind for need in probe.needs}
                chosen.append(probe)
        return tuple(reversed(chosen))


def plan(checks: Iterable[Check], probes: Sequence[Probe], also: Iterable[type] = ()) -> Plan:
    """Union what the checks declare, with the facts that suppressions depend on (``also``), and order the probes."""
    chosen = tuple(checks)
    by_fact = {probe.fact: probe for probe in probes}
    ordered: dict[type, Probe] = {}

    def add(kind: type) -> None:
        probe = by_fact.get(kind)
        if probe is None or kind in ordered:
            return
        for need in probe.needs:
            add(need.kind)
        ordered[kind] = probe

    for check in chosen:
        for need in check.needs:
            add(need.kind)
    for kind in also:
        add(kind)
    sampled = frozenset(need.kind for check in chosen for need in check.needs if need.span in SAMPLED)
    beside = (need for check in chosen if check.lasts for need in check.needs if need.span is Span.ONCE)
    closing = frozenset(need.kind for need in beside if need.kind in by_fact)
    return Plan(chosen, tuple(ordered.values()), sampled, closing)


@dataclass(frozen=True, slots=True)
class Sides:
    """Which half of the examination a check can be judged in."""

    live: bool
    static: bool


def halves(probes: Iterable[Probe]) -> Mapping[type, bool]:
    """Whether a fact belongs to the live half, by its type."""
    return {probe.fact: probe.live for probe in probes} | dict.fromkeys(LIVE_GIVEN, True)


def sides(check: Check, kinds: Mapping[type, bool]) -> Sides:
    """Live: it reads a Redis or processes and needs nothing else; static: the same of files. Some are both.

    A check that judges only what people decided is judged in either half; so is one whose facts
    nobody reads, as when a plug-in's probe is broken: it is there, and unknown.
    """
    if all(need.kind in DECIDED for need in check.needs):
        return Sides(live=True, static=True)
    declared = [(need, kinds[need.kind]) for need in check.needs if need.kind in kinds]
    if not declared:
        return Sides(live=True, static=True)
    required = [live for need, live in declared if not need.optional]
    return Sides(
        live=any(live for _, live in declared) and all(required),
        static=any(not live for _, live in declared) and not any(required),
    )


def matches(check: Check, selector: str) -> bool:
    """By id, id prefix, name or category."""
    return (
        check.id == selector.upper()
        or (selector.isalpha() and selector.isupper() and check.id.rstrip("0123456789") == selector)
        or (selector[-1:].isdigit() and check.id.startswith(selector.upper()))
        or selector in {check.name, check.category}
    )
