"""The lines around every tab: the numbers, the tabs, where and when we are, the keys."""

from collections.abc import Sequence
from typing import Final

from kiqdoctor.doctor.facts.live import Counters, Depths, Workers
from kiqdoctor.doctor.report import Severity
from kiqdoctor.text import SHORT, clean
from kiqdoctor.top import keys, words
from kiqdoctor.top.history import rates, read
from kiqdoctor.top.paint import SEVERITIES, Line, Piece
from kiqdoctor.top.panes.pane import Pane
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.tabs import TABS
from kiqdoctor.wire.keys import DEAD, RETRY, SCHEDULE

WIDE: Final = 112  # cells from which on names and numbers are written out
FORMS: Final = (" {key} {label} ", "{key} {label} ", "{key}{label} ", "{key}{short} ", "{key} ")
"""How the tabs are written: as the first for which there is room."""
COMMON: Final = ("space pause", "[ ] time", "o order", "/ filter", ": palette", "? help", "q quit")
BRIEF: Final = {"Processed": "Done", "Failed": "Fail", "Enqueued": "Enq", "Retries": "Ret", "Scheduled": "Sch"}
RATED: Final = 30.0  # seconds of samples that a rate needs at most


def numbers(shown: Scene, width: int) -> Line:
    """The worst that the doctor knows, then processed, failed, busy, enqueued, retries, scheduled, dead."""
    snapshot = shown.look.snapshot if shown.look is not None else None
    counters, depths, workers = ((read(snapshot, kind) if snapshot else None) for kind in (Counters, Depths, Workers))
    recent = [one for one in shown.samples if shown.now - RATED <= one.at <= shown.now]
    wide = width >= WIDE
    count, gap = (words.count, ("", "  ")) if wide else (words.brief, ("", " "))
    pieces: list[Piece] = [*_worst(shown), gap]
    for label, name in (("Processed", "processed"), ("Failed", "failed")):
        total = getattr(counters, name) if isinstance(counters, Counters) else None
        now = rates(recent, name)[-1] if recent else None
        said = f" {words.rate(now)}/s" if now is not None else ""
        pieces += [*_number(label, count(total), wide=wide), ("bad" if name == "failed" and now else "", said), gap]
    fleet = workers if isinstance(workers, Workers) else None
    busy = f"{count(fleet.busy)}/{count(fleet.threads)}" if fleet is not None else words.NOTHING
    pieces += [*_number("Busy", busy, wide=wide), gap]
    known = depths if isinstance(depths, Depths) else None
    pieces += [*_number("Enqueued", count(known.enqueued if known is not None else None), wide=wide), gap]
    for label, name in (("Retries", RETRY), ("Scheduled", SCHEDULE), ("Dead", DEAD)):
        size = known.size(name) if known is not None else None
        pieces += [*_number(label, count(size), wide=wide), gap]
    return pieces


def _number(label: str, said: str, *, wide: bool) -> list[Piece]:
    return [("dim", f"{label if wide else BRIEF.get(label, label)} "), ("strong", said)]


def _worst(shown: Scene) -> list[Piece]:
    if shown.diagnosis is None:
        return [("dim", "not judged" if shown.target.recorded else "examining")]
    report = shown.diagnosis.report
    counts = [(severity, report.findings(severity)) for severity in Severity]
    found = [(SEVERITIES[severity.value], f"{number} {severity.value}") for severity, number in counts if number]
    if found:
        return found[:1]
    unknown = len(shown.diagnosis.unknown)
    return [("warn", f"{unknown} unknown")] if unknown else [("good", "healthy")]


def tabs(front: str, width: int) -> Line:
    """The tabs; brackets say which is in front, not colour alone."""
    return [("tab" if label == front else "", text) for label, text in _written(front, width)]


def tab_at(column: int, front: str, width: int) -> str:
    """The tab under a column; "" for none."""
    end = 0
    for label, text in _written(front, width):
        end += len(text)
        if column < end:
            return label
    return ""


def _written(front: str, width: int) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for form in FORMS:
        found = [(tab.label, _tab(tab, form, front)) for tab in TABS]
        if sum(len(text) for _, text in found) <= width:
            break
    return found


def _tab(tab: type[Pane], form: str, front: str) -> str:
    text = form.format(key=tab.key, label=tab.label, short=tab.short or tab.label)
    return f"[{text.strip()}]".center(len(text)) if tab.label == front else text


def where(shown: Scene, read_only: str, *, playing: bool, place: int, of: int) -> Line:
    """Live or which moment, of what, how it is reached, and whether anything can be changed."""
    target = shown.target
    pieces: list[Piece] = []
    if target.recorded:
        mode = "PLAYING" if playing else "REPLAY"
        pieces += [("strong", f" {mode} {place}/{of} "), ("", f" {words.moment(shown.now)} ")]
    elif shown.behind is not None:
        pieces += [
            ("warn", f" PAUSED at {words.clock(shown.now)}Z, {words.age(shown.behind)} ago "),
            ("dim", "space: go on "),
        ]
    elif shown.trouble:
        pieces += [("worst", " REDIS AWAY "), ("bad", f" {clean(shown.trouble, SHORT)} ")]
    else:
        pieces += [("good", f" LIVE every {words.age(shown.interval)} "), ("", f" {words.clock(shown.now)}Z ")]
    namespace = f" namespace {clean(target.namespace)}" if target.namespace else ""
    pieces.append(("", f" {clean(target.recorded or target.redis)}{namespace} "))
    if read_only:
        pieces.append(("dim", f" read-only: {clean(read_only, 120)}"))
    return pieces


def keys_of(own: Sequence[tuple[str, str]], width: int, *, writing: bool) -> Line:
    """The tab's own keys, as many as find room, then the ones that one looks for."""
    changing = {key.shown for key in keys.WRITING.values()}
    common = "  ".join(COMMON if width >= WIDE else COMMON[-3:])
    pieces: list[Piece] = []
    left = width - len(common)
    for shown, says in own:
        text = f" {says.partition(':')[0].partition(',')[0]}  "
        left -= len(shown) + len(text)
        if left >= 0 and (writing or not set(shown.split()) & changing):
            pieces += [("accent", shown), ("dim", text)]
    return [*pieces, ("dim", common)]
