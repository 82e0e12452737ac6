"""The live view as lines of text: first how everything is, then what changes. No cursor moves, nothing is redrawn."""

from collections.abc import Callable, Iterator

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.doctoring import Diagnosis, follow
from kiqdoctor.top.feed import Feed, Look, LostError
from kiqdoctor.top.state import SHARE
from kiqdoctor.top.tabs import TABS

Say = Callable[[str], None]


def watch(
    source: Feed,
    say: Say,
    *,
    interval: float,
    examine_every: float,
    count: int | None = None,
    clock: Clock = SYSTEM,
) -> None:
    """Until interrupted, or for ``count`` readings."""
    before: Look | None = None
    diagnosis: Diagnosis | None = None
    trouble = ""
    number = 0
    while count is None or number < count:
        if number:
            clock.sleep(max(interval, before.took_ms / 1000 if before is not None else 0.0))
        number += 1
        try:
            look = source.look(frozenset())
        except LostError as error:
            if not trouble:
                say(_at(clock.now(), f"Redis cannot be reached: {clean(str(error))}; trying again"))
            trouble = str(error)
            continue
        if trouble:
            say(_at(look.at, "Redis is back"))
        trouble = ""
        if before is None:
            say(f"kiqdoctor top, {clean(source.target.redis)}, every {words.age(interval)}; only changes follow")
        for line in changes(before, look):
            say(_at(look.at, line))
        before = look
        if diagnosis is None or look.at - diagnosis.at >= max(examine_every, SHARE * diagnosis.report.duration_s):
            now = follow(diagnosis, source.examine().report, look.at)
            for line in findings(diagnosis, now):
                say(_at(look.at, line))
            diagnosis = now


def changes(before: Look | None, now: Look) -> Iterator[str]:
    """Sentences of what is otherwise than before; of everything where there is no before."""
    old, new = facts(before), facts(now)
    for name, value in new.items():
        past = old.get(name)
        if past is None:
            yield f"{name}: {value}"
        elif past != value:
            yield f"{name}: {value}, was {past}"
    for name in old:
        if name not in new:
            yield f"{name}: gone"


def facts(look: Look | None) -> dict[str, str]:
    """What the tabs tell of a look, by what it is of."""
    return {} if look is None else dict(pair for tab in TABS for pair in tab.told(look.snapshot))


def findings(before: Diagnosis | None, now: Diagnosis) -> Iterator[str]:
    """Findings that are new, and those that are gone."""
    for result, one in now.findings:
        if before is None or one.fingerprint not in before.since:
            title, remedy = clean(one.finding.title, 1_000), clean(one.finding.remedy, 1_000)
            yield f"{one.severity.value} finding {result.check.id}: {title}" + (f". Do: {remedy}" if remedy else "")
    known = {gone.reported.fingerprint for gone in before.gone} if before is not None else set()
    for gone in now.gone:
        if gone.reported.fingerprint not in known:
            how = f"not seen now, because {clean(gone.unseen, 400)}" if gone.unseen else "healed"
            yield f"finding {gone.result.check.id} {how}: {clean(gone.reported.finding.title, 1_000)}"
    if before is None:
        for result in now.unknown:
            yield f"unknown {result.check.id}: because {clean(result.reason or '', 400)}"
        if not now.findings:
            yield "no findings"


def _at(at: float, text: str) -> str:
    return f"{words.clock(at)} {text}"
