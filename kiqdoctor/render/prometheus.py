"""The report as OpenMetrics text: explicit zeros, one state a check, no label that a job or a queue could fill."""

from collections.abc import Iterator

from kiqdoctor.doctor.report import Outcome, Report, Severity
from kiqdoctor.render.words import coverage


def render(report: Report) -> str:
    """One exposition, ended by ``# EOF``."""
    return "\n".join([*_lines(report), "# EOF", ""])


def _lines(report: Report) -> Iterator[str]:
    judged, applicable = coverage(report)
    yield from _family("kiqdoctor_findings", "Findings that count, by severity.")
    yield from (f'kiqdoctor_findings{{severity="{one.value}"}} {report.findings(one)}' for one in Severity)
    yield from _family("kiqdoctor_findings_suppressed", "Findings that do not count.")
    yield f"kiqdoctor_findings_suppressed {report.suppressed}"
    yield from _family("kiqdoctor_checks", "Checks by outcome.")
    yield from (f'kiqdoctor_checks{{outcome="{one.value}"}} {report.count(one)}' for one in Outcome)
    yield from _family("kiqdoctor_check_outcome", "1 for the outcome of each check, 0 for the others.")
    for result in report.results:
        labels = f'check="{result.check.id}",name="{_label(result.check.name)}"'
        yield from (
            f'kiqdoctor_check_outcome{{{labels},outcome="{one.value}"}} {int(result.outcome is one)}' for one in Outcome
        )
    numbers = {
        "kiqdoctor_coverage_ratio": (
            "Checks judged among those that apply.",
            judged / applicable if applicable else 0.0,
        ),
        "kiqdoctor_exit_status": ("The exit status of this examination.", report.exit_status),
        "kiqdoctor_duration_seconds": ("How long the examination took.", round(report.duration_s, 3)),
        "kiqdoctor_started_timestamp_seconds": ("When the examination began.", round(report.started_at, 3)),
    }
    for name, (text, value) in numbers.items():
        yield from _family(name, text)
        yield f"{name} {value}"


def _family(name: str, text: str) -> Iterator[str]:
    yield f"# TYPE {name} gauge"
    yield f"# HELP {name} {text}"


def _label(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
