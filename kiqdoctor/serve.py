"""The report over HTTP: examined again and again in the background, answered from what is at hand."""

import json
import threading
from collections.abc import Callable, Iterator
from http import HTTPStatus
from typing import Final, Literal

from kiqdoctor.answering import Answer, Pages, told
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.contain import said
from kiqdoctor.doctor.report import Outcome, Report
from kiqdoctor.records import dataclass
from kiqdoctor.text import LONG, clean

SCHEMA: Final = "kiqdoctor.status/1"
INCOMPLETE: Final = 3  # CONTRACT.md's exit status of an examination that does not tell how things are
LONGEST_LOOK: Final = 600.0  # seconds after which an examination hangs, and a restart helps

JSON: Final = "application/json"
_END: Final = "# EOF\n"

Ending = Literal["complete", "incomplete", "failed"]
ENDINGS: Final[tuple[Ending, ...]] = ("complete", "incomplete", "failed")


@dataclass(frozen=True, slots=True)
class Shown:
    """One finished examination, rendered once for all who ask; ``at`` is monotonic seconds."""

    at: float
    document: str
    metrics: str


@dataclass(frozen=True, slots=True)
class Views:
    """How a report is shown: as JSON, and as OpenMetrics text ended by ``# EOF`` with its content type."""

    document: Callable[[Report], str]
    metrics: Callable[[Report], str]
    metrics_type: str


class Watch:
    """Examines every ``interval_s`` seconds in a thread of its own, and keeps the last report.

    ``look`` is one whole examination; whatever it raises makes the report stale until one succeeds again. ``say``
    hears each change between fresh and stale.
    """

    def __init__(
        self,
        look: Callable[[], Report],
        views: Views,
        *,
        interval_s: float,
        stale_after_s: float,
        say: Callable[[str], None] = lambda _: None,
        clock: Clock = SYSTEM,
    ) -> None:
        self._look, self._views, self._clock, self._say = look, views, clock, say
        self._interval_s, self._stale_after_s = interval_s, stale_after_s
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="kiq.watch")
        self._shown: Shown | None = None
        self._trouble: str | None = "the first examination has not ended yet"
        self._began: float | None = None
        self._counts = dict.fromkeys(ENDINGS, 0)

    def start(self) -> None:
        """Begin; the first report is there when the first examination has ended."""
        self._thread.start()

    def stop(self) -> None:
        """No further examination begins; one that runs is left to the process's end."""
        self._ended.set()

    def not_live(self) -> str | None:
        """Why a restart would help; None while all is well."""
        began = self._began
        running = self._clock.monotonic() - began if began is not None else 0.0
        if not self._thread.is_alive():
            return "the thread that examines has ended"
        return f"an examination has been running for {running:.0f} s" if running > LONGEST_LOOK else None

    def stale(self) -> str | None:
        """Why the report does not tell how things are now; None while it does."""
        shown, trouble = self._shown, self._trouble
        if trouble is not None or shown is None:
            return trouble
        age = self._clock.monotonic() - shown.at
        if age > self._stale_after_s:
            return f"the last report is {age:.0f} s old, more than {self._stale_after_s:g} s"
        return None

    def status(self) -> Answer:
        """The report as JSON, with whether and why it is stale; 503 then."""
        shown, reason = self._shown, self.stale()
        head = {
            "schema": SCHEMA,
            "stale": reason is not None,
            "reason": None if reason is None else clean(reason, LONG),
            "age_s": None if shown is None else round(self._clock.monotonic() - shown.at, 3),
        }
        report = "null" if shown is None else shown.document.strip()
        status = HTTPStatus.OK if reason is None else HTTPStatus.SERVICE_UNAVAILABLE
        return status, JSON, f'{json.dumps(head)[:-1]}, "report": {report}}}\n'

    def metrics(self) -> Answer:
        """The last report's metrics and our own: 200 whatever happens, for a scraper drops what comes with a 503."""
        shown = self._shown
        theirs = shown.metrics.removesuffix(_END) if shown is not None else ""
        return (
            HTTPStatus.OK,
            self._views.metrics_type,
            theirs + "".join(f"{line}\n" for line in self._own(shown)) + _END,
        )

    def _own(self, shown: Shown | None) -> Iterator[str]:
        yield "# TYPE kiqdoctor_report_stale gauge"
        yield "# HELP kiqdoctor_report_stale 1 while the other metrics do not tell how things are now."
        yield f"kiqdoctor_report_stale {int(self.stale() is not None)}"
        yield "# TYPE kiqdoctor_report_age_seconds gauge"
        yield "# UNIT kiqdoctor_report_age_seconds seconds"
        yield "# HELP kiqdoctor_report_age_seconds Time since the last examination ended."
        age = "NaN" if shown is None else f"{self._clock.monotonic() - shown.at:.3f}"
        yield f"kiqdoctor_report_age_seconds {age}"
        yield "# TYPE kiqdoctor_examinations counter"
        yield "# HELP kiqdoctor_examinations Examinations that ended, by how."
        yield from (f'kiqdoctor_examinations_total{{ended="{one}"}} {self._counts[one]}' for one in ENDINGS)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._once()
            self._ended.wait(self._interval_s)

    def _once(self) -> None:
        self._began, was = self._clock.monotonic(), self._trouble
        try:
            report = self._look()
            shown = Shown(self._clock.monotonic(), self._views.document(report), self._views.metrics(report))
        except Exception as error:  # noqa: BLE001 - whatever it was, the next one may succeed
            judged = _Judged("failed", f"the last examination failed: {said(error)}")
        else:
            self._shown = shown
            judged = _judged(report)
        self._began, self._trouble = None, judged.trouble
        self._counts[judged.ending] += 1
        if judged.trouble != was:
            self._say("the report is fresh" if judged.trouble is None else f"stale: {clean(judged.trouble, LONG)}")


@dataclass(frozen=True, slots=True)
class _Judged:
    """How an examination ended, and why it does not tell how things are, if it does not."""

    ending: Ending
    trouble: str | None = None


def _judged(report: Report) -> _Judged:
    """An examination that could not reach what it was to examine tells nothing of how things are."""
    if report.exit_status != INCOMPLETE:
        return _Judged("complete")
    findings = [
        one.finding.title for result in report.results if result.check.id == "RED001" for one in result.findings
    ]
    reasons = [result.reason for result in report.results if result.outcome is Outcome.UNKNOWN and result.reason]
    why = next(iter((*findings, *reasons)), "nothing could be judged")
    return _Judged("incomplete", f"the examination is not complete: {why}")


def server(watch: Watch, bind: tuple[str, int], warn: Callable[[str], None]) -> Pages:
    """What answers for the watch; nothing listens before ``start``."""
    pages = {
        "/livez": lambda: told(watch.not_live()),
        "/readyz": lambda: told(watch.stale()),
        "/metrics": watch.metrics,
        "/status.json": watch.status,
    }
    return Pages(bind, pages, name="kiq.serve", apology="this could not be found out; the log says why\n", warn=warn)
