"""OpenMetrics: accepted by Prometheus' own parsers, the new one's and that of the textfile collector's format."""

import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from formats import Told
from prometheus_client import Metric
from prometheus_client import parser as textfile
from prometheus_client.openmetrics import parser as openmetrics

from kiqdoctor.cli.words.output import write
from kiqdoctor.doctor.report import Outcome, Report, Severity
from kiqdoctor.render.formats import prometheus

Build = Callable[..., Report]
Parser = Callable[[str], Iterable[Metric]]
OPENMETRICS: Parser = openmetrics.text_string_to_metric_families
TEXTFILE: Parser = textfile.text_string_to_metric_families
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in OPENMETRICS(text)
        for sample in family.samples
    }


def valid(text: str) -> None:
    assert list(OPENMETRICS(text))


def told(text: str) -> Iterator[Told]:
    found = [one for family in OPENMETRICS(text) for one in family.samples]
    yield "counts", {one.labels["severity"]: one.value for one in found if one.name == "kiqdoctor_findings"}
    [status] = [one.value for one in found if one.name == "kiqdoctor_exit_status"]
    yield "status", status


def test_a_hostile_report_is_accepted_by_both_parsers(hostile: Report) -> None:
    text = prometheus.render(hostile)

    assert len(list(OPENMETRICS(text))) == len(list(TEXTFILE(text))) == 11
    assert text.endswith("# EOF\n")
    assert "\r" not in text


def test_nothing_from_outside_is_in_it(report: Build) -> None:
    assert prometheus.render(report("one text")) == prometheus.render(report("another"))


def test_every_severity_and_every_outcome_is_there_with_its_zero(report: Build) -> None:
    found = samples(prometheus.render(report("x")))

    assert {one: found["kiqdoctor_findings", (("severity", one.value),)] for one in Severity} == {
        one: 2 if one is Severity.HIGH else 0 for one in Severity
    }
    assert all(found["kiqdoctor_checks", (("outcome", one.value),)] == 1 for one in Outcome)
    for check in ("TST001", "TST004"):
        states = [
            found["kiqdoctor_check_outcome", (("check", check), ("name", "some-check"), ("outcome", one.value))]
            for one in Outcome
        ]
        assert sorted(states) == [0, 0, 0, 1]


def test_labels_are_the_checks_own_words(report: Build) -> None:
    labels = {key for _, pairs in samples(prometheus.render(report())) for key, _ in pairs}

    assert labels == {"severity", "outcome", "check", "name", "version"}


def test_coverage_is_of_what_applies(report: Build) -> None:
    found = samples(prometheus.render(report("x")))

    assert found["kiqdoctor_coverage_ratio", ()] == pytest.approx(2 / 3)
    assert found["kiqdoctor_exit_status", ()] == 1
    assert found["kiqdoctor_started_timestamp_seconds", ()] == 1_795_500_000.125


def test_a_collector_reads_whole_files_only(report: Build, tmp_path: Path) -> None:
    file = tmp_path / "kiqdoctor.prom"
    text = prometheus.render(report("x"))
    write(text, file)

    def rewrite() -> None:
        for _ in range(200):
            write(text, file)

    writer = threading.Thread(target=rewrite)
    writer.start()
    while writer.is_alive():
        assert file.read_text() == text
    writer.join()

    assert [one.name for one in tmp_path.iterdir()] == ["kiqdoctor.prom"]
