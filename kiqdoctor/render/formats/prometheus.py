"""The report as OpenMetrics text: explicit zeros, one state a check, no label that a job or a queue could fill.

Only gauges: what node_exporter's textfile collector reads is the older text format, which knows neither `info` nor
`stateset`, and one unknown type would cost it the whole file.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from kiqdoctor.doctor.report import Outcome, Report, Severity
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import coverage
from kiqdoctor.text import clean

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Samples = Iterator[tuple[Mapping[str, str], float]]


def render(report: Report, _view: View = PLAIN) -> str:
    """One exposition, ended by ``# EOF``; line feeds only, no timestamps."""
    return "".join([*_families(report), "# EOF\n"])


def _families(report: Report) -> Iterator[str]:
    judged, applicable = coverage(report)
    yield _family("findings", "Findings that count, by severity.", _by_severity(report))
    yield _one("findings_suppressed", "Findings that do not count.", report.suppressed)
    yield _family("checks", "Checks by outcome.", _by_outcome(report))
    yield _family("check_outcome", "1 for the outcome of each check, 0 for the others.", _each_outcome(report))
    yield _family("check_findings", "Findings that count, by check.", _each_findings(report))
    if report.shards:
        yield _family("redis_findings", "Findings that count, by Redis and severity.", _each_redis(report))
    yield _one("coverage_ratio", "Checks judged among those that apply.", judged / applicable if applicable else 0.0)
    yield _one("exit_status", "The exit status of this examination.", report.exit_status)
    yield _one("duration_seconds", "How long the examination took.", round(report.duration_s, 3))
    yield _one("started_timestamp_seconds", "When the examination began, Unix time.", round(report.started_at, 3))
    yield _one("redis_commands", "Commands that the examination sent to Redis.", report.cost.total)
    yield _family("build", "The doctor that examined.", iter([({"version": report.version}, 1)]))


def _by_severity(report: Report) -> Samples:
    yield from (({"severity": one.value}, report.findings(one)) for one in Severity)


def _by_outcome(report: Report) -> Samples:
    yield from (({"outcome": one.value}, report.count(one)) for one in Outcome)


def _each_outcome(report: Report) -> Samples:
    for result in report.results:
        for one in Outcome:
            labels = {"check": result.check.id, "name": result.check.name, "outcome": one.value}
            yield labels, int(result.outcome is one)


def _each_findings(report: Report) -> Samples:
    for result in report.results:
        labels = {"check": result.check.id, "name": result.check.name}
        yield labels, sum(not one.suppressed for one in result.findings)


def _each_redis(report: Report) -> Samples:
    counted = [(one.redis, one.severity) for one in report.reported if not one.suppressed]
    for redis in report.shards:
        for severity in Severity:
            yield {"redis": clean(redis), "severity": severity.value}, counted.count((redis, severity))


def _one(name: str, text: str, value: float) -> str:
    return _family(name, text, iter([({}, value)]))


def _family(name: str, text: str, samples: Samples) -> str:
    unit = name.rpartition("_")[2]
    lines = [f"# TYPE kiqdoctor_{name} gauge"]
    lines += [f"# UNIT kiqdoctor_{name} {unit}"] if unit in {"seconds", "ratio"} else []
    lines += [f"# HELP kiqdoctor_{name} {text}"]
    lines += [f"kiqdoctor_{name}{_labels(labels)} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Mapping[str, str]) -> str:
    spelt = ",".join(f'{key}="{_value(value)}"' for key, value in labels.items())
    return f"{{{spelt}}}" if spelt else ""


def _value(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
