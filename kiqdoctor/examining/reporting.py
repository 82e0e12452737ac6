"""From what was asked for to the report: examined, judged, compared with what is known, written."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

from kiqdoctor import saving
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor import baseline
from kiqdoctor.doctor.gate import broke_off
from kiqdoctor.doctor.judgement import Judgement, Part
from kiqdoctor.doctor.report import Report, Result
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.examination import Examined, Prepared, beside, judged, looked, prepared, replayed
from kiqdoctor.examining.recordings import save
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.reading import whole
from kiqdoctor.version import __version__


def examination(asked: Asked, clock: Clock = SYSTEM) -> Report:
    """The whole way from what was asked to the report; writes the recording and the baseline if they were asked for."""
    return examined(asked, clock)[0]


def examined(asked: Asked, clock: Clock = SYSTEM) -> tuple[Report, Snapshot]:
    """The same, with the facts that were judged; of several Redis those of the first."""
    ready = prepared(asked)
    known = _known(asked.baseline)
    old = _known(asked.write_baseline) if asked.write_baseline and asked.write_baseline.exists() else None
    began = clock.monotonic()
    started_at = clock.now()
    seen, judgement = (_several if asked.shards and not asked.static else _one)(asked, ready, clock)
    notes = [*filter(None, [asked.configuration.note()]), *seen.notes]
    if earlier := seen.recording.snapshot.earlier:
        before = seen.recording.recorded_at - earlier.at
        notes.append(f"the first sample is an earlier recording's, made {before:.0f} s before")
    if asked.write_baseline:
        revised = baseline.revise(old, judgement.results, grow=asked.allow_grow)
        _write(asked.write_baseline, baseline.write(revised.fingerprints))
        notes.append(revised.said(str(asked.write_baseline)))
    elif healed := baseline.gone(known, judgement.results):
        notes.append(f"{len(healed)} of the baseline's findings healed; --write-baseline {asked.baseline} removes them")
    judgement = judgement.silenced(known, new_only=asked.new_only)
    results = judgement.results
    report = Report(
        version=__version__,
        started_at=started_at,
        duration_s=clock.monotonic() - began,
        target=seen.recording.target,
        results=results,
        exit_status=int(judgement.status(asked.fail_on, asked.require)),
        cost=seen.recording.cost,
        notes=tuple(notes),
        seen=seen.recording.snapshot.seen,
        fail_on=asked.fail_on,
        shards=judgement.shards,
        quoted=_quoted(asked, results),
    )
    return report, seen.recording.snapshot


def _one(asked: Asked, ready: Prepared, clock: Clock) -> tuple[Examined, Judgement]:
    with ExitStack() as stack:
        seen = replayed(asked) if asked.replay else stack.enter_context(looked(asked, ready.plan, clock))
    if asked.replay and asked.named and asked.path is not None and not asked.live:
        seen = beside(seen, asked, ready.plan, clock)
    if asked.record:
        save(seen.recording, asked.record)
    snapshot = seen.recording.snapshot
    part = Part(judged(ready, snapshot, clock), "", seen.unreachable, broke_off(snapshot))
    return seen, Judgement((part,))


def _several(asked: Asked, ready: Prepared, clock: Clock) -> tuple[Examined, Judgement]:
    from kiqdoctor.examining.shards import several  # what no examination of one Redis needs

    return several(asked, ready, clock)


def _quoted(asked: Asked, results: tuple[Result, ...]) -> Mapping[tuple[str, int], str]:
    """Lines that findings in files point at, where those files are at hand."""
    here = asked.path is not None and not asked.live and (not asked.replay or asked.named)
    if not here or asked.path is None or not any(one.finding.location for result in results for one in result.visible):
        return {}
    from kiqdoctor.examining.quoting import quoted

    return quoted(Tree(asked.path), results)


def _known(file: Path | None) -> frozenset[str]:
    if file is None:
        return frozenset()
    try:
        return baseline.read(whole(file))
    except OSError as error:
        raise AskedError(f"cannot read {file}: {error.strerror}") from None
    except baseline.BaselineError as error:
        raise AskedError(f"{file}: {error}") from None


def _write(file: Path, content: bytes) -> None:
    try:
        saving.save(file, content)
    except OSError as error:
        raise AskedError(f"cannot write {file}: {error.strerror}") from None
