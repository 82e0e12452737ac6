"""The elected leader is dead, quiet, or another application's.

## Why it hurts
Sidekiq Enterprise's periodic jobs, its census and every `on(:leader)` hook run in one process, the leader. While that
is gone, does nothing or belongs to another application, they do not run at all, and nothing says so.

In the log: no `Gained leadership` line for long, or one at every beat.

## How it is found
Formula: fails if dear-leader names the same identity at two readings at least stuck-s apart and that process is not
alive or is quiet at both; or if live processes bear two tags that begin with different words; or if each of CHANGING
readings names another leader

`dear-leader` holds the leader's identity. Its record and beat tell whether it lives, `quiet` whether it still works. A
leader that changes at every reading is no leader: two applications contend for it, or it cannot keep its key.

## When it is wrong
A deploy: the old leader is quiet until it ends, and the next takes over. Processes of one application that were given
different tags on purpose.

## Confirm by hand
`redis-cli get dear-leader`, then `redis-cli hmget IDENTITY beat quiet info`.

## How to fix
Restart the process that it names; where two applications share one Redis, give each a Redis of its own.

Risk: the next leader runs the periodic jobs that are due from then on; what was missed stays missed.

Undo: nothing to undo.

## Unknown when
It was looked at once only, and the leader looks dead or quiet; process records may not be read; tags differ after their
first word only (shop-mail, shop-web), as those of one application do.

## Source
sidekiq/sidekiq#4078 and #6804; Process.leader? in lib/sidekiq/api.rb reads the same key.

- CHANGING: readings in a row that name another leader each: three changes are no hand-over; a choice.
"""

from collections.abc import Iterator
from itertools import pairwise

from kiqdoctor.doctor import Evidence, Finding, NotApplicable, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Leader
from kiqdoctor.regex import regex

CHANGING = 4
STUCK = Threshold(
    name="stuck-s",
    default=120,
    unit="s",
    meaning="A leader that is dead or quiet must have been followed by another within this time.",
    source="a new leader is elected within a minute after the last one's key expired",
)
REMEDY = "Restart the process that it names, and give each application a Redis of its own."
SOURCE = "GET dear-leader"


@check("PRO017", severity=Severity.HIGH, thresholds=(STUCK,))
def leader_wrong(leader: Series[Leader], fleet: Series[Fleet], thresholds: Thresholds) -> Iterator[Verdict]:
    name = leader.last.identity
    if not any(one.identity for one in leader.facts):
        yield NotApplicable("no leader was ever elected here: Sidekiq Enterprise does not run")
        return
    if fleet.last.partial:
        yield Unknown(fleet.last.partial, "fewer members in processes")
        return
    yield from _changing(leader, fleet)
    yield from _of_two_applications(name, fleet.last)
    ill = _ill(name, fleet.last) if name else ""
    if ill and _same(leader, fleet, thresholds[STUCK]):
        evidence = (Evidence("leader", name, SOURCE), Evidence("seen", ill, "processes, beat, quiet"))
        title = f"The leader is {name}, which {ill}, for at least {thresholds[STUCK]:g} s"
        yield Finding(f"process:{name}", title, REMEDY, evidence)
    elif ill:
        yield Unknown(f"the leader is {name}, which {ill}; another may follow it", f"--for {thresholds[STUCK]:g}")
    yield Evidence("leader", name or "none at this moment", SOURCE)


def _ill(name: str, fleet: Fleet) -> str:
    """Why this process cannot lead; "" where it can."""
    process = next((one for one in fleet.processes if one.identity == name), None)
    if process is None:
        return "is not registered"
    if not process.live:
        return "has not beaten for a minute" if process.exists else "has no record"
    return "is quiet" if process.quiet else ""


def _same(leader: Series[Leader], fleet: Series[Fleet], stuck_s: float) -> bool:
    """Whether the same identity led, and could not, at a reading so long ago."""
    name, last = leader.last.identity, leader.moments[-1].at
    named = {one.fact.identity for one in leader.moments if last - one.at <= stuck_s * 1.5}
    led = [one for one in leader.moments if last - one.at >= stuck_s * 0.95 and one.fact.identity == name]
    looked = [one for one in fleet.moments if last - one.at >= stuck_s * 0.95 and _ill(name, one.fact)]
    return bool(led and looked) and named == {name}


def _of_two_applications(name: str, fleet: Fleet) -> Iterator[Finding | Unknown]:
    tags = {one.identity: one.tag for one in fleet.live if one.tag}
    if name not in tags:
        return
    strange = sorted({tag for tag in tags.values() if tag != tags[name]})
    others = [tag for tag in strange if _first(tag) != _first(tags[name])]
    if strange and not others:
        told = f"the leader's tag is {tags[name]}, another is {strange[0]}: both may be of one application"
        yield Unknown(told, "one tag for each application")
    if not others:
        return
    evidence = [Evidence("leader", f"{name}, tag {tags[name]}", SOURCE)]
    evidence += [Evidence("other tag", tag, "processes, info") for tag in others[:10]]
    title = f"The leader belongs to {tags[name]}; processes of {', '.join(others[:3])} share its Redis and have none"
    yield Finding("redis", title, REMEDY, tuple(evidence), key="tags")


def _first(tag: str) -> str:
    """Its first word, without a number: what is told apart by the rest is often one application's (shop-mail)."""
    return regex(r"[\W\d_]+").split(tag.casefold(), maxsplit=1)[0] or tag


def _changing(leader: Series[Leader], fleet: Series[Fleet]) -> Iterator[Finding]:
    names = [one.identity for one in leader.facts if one.identity]
    started = {one.identity for moment in fleet.facts for one in moment.live}
    if len(names) < CHANGING or started != {one.identity for one in fleet.first.live}:
        return  # too few, or a deploy
    if all(one != other for one, other in pairwise(names)):
        evidence = tuple(Evidence("leader", one, SOURCE) for one in names[:10])
        yield Finding(
            "redis",
            f"{counted(len(names), 'reading named', 'readings named')} another leader each",
            REMEDY,
            evidence,
            key="changing",
        )
