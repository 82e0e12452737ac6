"""A job that was in flight when several processes died goes to the dead set, where nobody takes it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kiqdoctor.actions.exact import WHOLE, Change, Edit, Entry, Step
from kiqdoctor.doctor.facts.queues import Samples
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.remedies.looking import Sighting, ends, lying, now, raw, search
from kiqdoctor.text import clean
from kiqdoctor.wire.keys import DEAD, Keys
from kiqdoctor.wire.payload import buried

if TYPE_CHECKING:
    from kiqdoctor.doctor.report import Finding
    from kiqdoctor.doctor.tools import Redis

FATAL: Final = 2  # deaths, as the check has it
_BID: Final = "bid"  # of a batch of Sidekiq Pro
ERROR: Final = "kiqdoctor.Poison"  # what our runtime calls it too


def poison(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    """Of each class that was named those jobs that wait; what is running, or of a batch, is left to people."""
    samples = seen.get(Samples)
    if not isinstance(samples, Samples):
        return
    named = {one.subject.removeprefix("job:"): one for one in findings}
    counted = {(one.jid, one.job_class): one.deaths for place, one in samples.all if one.deaths >= FATAL}
    lost = {(value, one.subject.removeprefix("job:")): FATAL for one in findings for value in _told(one)}
    deaths = {key: count for key, count in (lost | counted).items() if key[1] in named}
    at = now(redis)
    found = search(redis, {jid for jid, _ in deaths})
    for name, finding in named.items():
        ours = [(one, deaths[jid, name]) for jid in found.found if (jid, name) in deaths for one in found.of(jid)]
        edits = [edit for one, count in ours if (edit := _buried(redis, one, count, at))]
        if edits:
            yield _step(finding, name, edits, found.short)


def _told(finding: "Finding") -> list[str]:
    return [one.value for one in finding.evidence if one.label == "jid"]


def _buried(redis: "Redis", one: Sighting, deaths: int, at: float) -> tuple[Edit, ...]:
    """None of what runs now, is dead already, or is of a batch, which would have to hear of it."""
    said = one.payload
    if one.place.owner or one.place.name == DEAD or _BID in said.fields or said.batch is not None or not said.kept:
        return ()
    entry, keys = lying(redis, one), Keys(redis.namespace)
    if entry is None:
        return ()
    why = f"in flight when {deaths} processes died; moved here by kiqdoctor fix"
    body = buried(said.spared(), ERROR, why, at).encode()
    edits = (Edit(entry, Entry("zset", raw(keys.dead), body, repr(at).encode())),)
    name = keys.unique(said.lock) if said.lock is not None else ""
    if not name or redis.ask("GET", name) != raw(said.jid):
        return edits
    return (*edits, Edit(Entry("string", raw(name), value=raw(said.jid), ends=ends(redis, [name])[0])))


def _step(finding: "Finding", name: str, edits: list[tuple[Edit, ...]], short: str) -> Step:
    places = dict.fromkeys(clean(one[0].source.key.decode("utf-8", "backslashreplace")) for one in edits)
    unseen = f"; not everything was looked at: {short}" if short else ""
    return Step(
        "QUE013", finding.subject,
        f"Move {len(edits)} jobs of {clean(name)} from {', '.join(places)} to the dead set",
        f"they do not run until somebody retries them there{unseen}",
        "those that are still dead go back to where they were",
        tuple(Change(one, (WHOLE,)) for one in edits),
    )  # fmt: skip
