"""CFG001: keys, queues, threads and pools of workers."""

from dataclasses import replace as changed
from pathlib import Path

import msgspec
import pytest
from healthy import HEALTHY
from healthy.config import COMMAND, FILE
from healthy.settings import SETTING
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.config import Setting, WorkerSettings
from kiqdoctor.doctor.facts.deployment import Deployment, WorkerConfig
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.config.worker_settings import worker_settings

SOUND = """:concurrency: <%= ENV["N"] || 5 %>
:timeout: 25
:queues:
  - [high, 3]
  - default,2
  - mail
:capsules:
  bulk: {concurrency: 2, queues: [bulk]}
production:
  :verbose: true
:scheduler: {schedule: {a: {cron: "* * * * *", class: A}}}
:limits: {mail: 2}
"""


def judged(root: Path, text: str, version: str = "7.3.9", **files: str) -> Result:
    found = worker_settings.read(tree(root, {"config/sidekiq.yml": text, **files}))
    locked = Packages((Package("ruby", "sidekiq", version, "Gemfile.lock"),))
    return diagnose("CFG001", HEALTHY.with_(found, locked))


def severities(result: Result) -> list[str]:
    return [str(one.severity) for one in result.findings]


def test_sound_files_pass(tmp_path: Path) -> None:
    result = judged(tmp_path, SOUND)

    assert result.outcome is Outcome.PASS, (result.reason, result.findings)


@pytest.mark.parametrize(
    ("line", "severity", "told"),
    [
        (":concurency: 10", "high", "concurrency is"),
        (":queue: [a]", "high", "queues is"),
        (":namespace: shop", "high", "namespace"),
        (":concurrency: 0", "high", "no thread"),
        (":concurrency: -3", "high", "no thread"),
        (":concurrency: five", "high", "no number"),
        (":concurrency: --5", "high", "no number"),
        (":concurrency: [1, 2]", "high", "no number"),
        (":queues: default", "high", "no list"),
        (":concurrency: 80", "low", "more than 50"),
        (":colour: red", "low", "no key"),
        (":queues: [[a, 100]]", "medium", "weight"),
        (":queues: [a, a]", "low", "twice"),
        ("production: {concurency: 9}", "high", "production.concurency"),
        (":capsules: {a: {concurrency: 0}}", "high", "no thread"),
        (":concurrency: 5\nproduction: {concurrency: 50}", "medium", "wins over"),
        (
            "defaults: &d {concurrency: 50}\nconcurrency: 5\nproduction: {<<: *d}",
            "medium",
            "production.concurrency = 50",
        ),
        ("- a", "high", "mapping"),
    ],
)
def test_each_mistake(tmp_path: Path, line: str, severity: str, told: str) -> None:
    result = judged(tmp_path, f"{line}\n")

    assert severities(result) == [severity]
    assert told in result.findings[0].finding.title


def test_a_broken_file_says_its_line(tmp_path: Path) -> None:
    [finding] = judged(tmp_path, ":queues:\n  - a\n :b: [\n").findings

    assert finding.severity == "high"
    assert finding.finding.location is not None
    assert finding.finding.location.line == 3


def test_twice_keeps_older_versions_from_starting(tmp_path: Path) -> None:
    assert severities(judged(tmp_path, ":queues: [a, a]\n", "6.5.12")) == ["high"]
    assert judged(tmp_path, ":queues: [a, b]\n", "6.5.12").outcome is Outcome.PASS


def test_branches_of_embedded_ruby_are_alternatives(tmp_path: Path) -> None:
    text = "<% if ENV['A'] %>\n:queues: [a]\n<% else %>\n:queues: [a, a]\n<% end %>\n"

    assert judged(tmp_path, text).outcome is Outcome.UNKNOWN


def test_threads_that_nobody_knows(tmp_path: Path) -> None:
    result = judged(tmp_path, ":concurrency: <%= AppConfig.threads.to_i %>\n")

    assert result.outcome is Outcome.UNKNOWN


def test_the_file_that_a_command_names_is_read(tmp_path: Path) -> None:
    result = judged(
        tmp_path, SOUND, Procfile="worker: sidekiq -C config/other.yml", **{"config/other.yml": ":queue: a"}
    )

    assert [one.finding.subject for one in result.findings] == ["file:config/other.yml"]


@pytest.mark.parametrize(
    ("options", "cores", "severities_"),
    [
        ((("concurrency", "0"),), None, ["high"]),
        ((("concurrency", "many"),), None, ["high"]),
        ((("concurrency", "${N:-5}"),), None, []),
        ((("concurrency", "30"),), None, []),
        ((("concurrency", "30"),), 1.0, ["low"]),
        ((("concurrency", "30"),), 2.0, []),
        ((("queue", "a,2"), ("queue", "a")), None, ["low"]),
        ((("queue", "a,20"), ("queue", "b,10")), None, ["medium"]),
    ],
)
def test_commands(options: tuple[tuple[str, str], ...], cores: float | None, severities_: list[str]) -> None:
    command = msgspec.structs.replace(COMMAND, options=options, cores=cores)

    assert severities(diagnose("CFG001", HEALTHY.with_(WorkerSettings((FILE,), (command,))))) == severities_


@pytest.mark.parametrize(
    ("version", "size", "outcome"),
    [
        ("5.2.3", 10, Outcome.FAIL), ("5.2.3", 11, Outcome.PASS),
        ("6.5.12", 11, Outcome.FAIL), ("6.5.12", 12, Outcome.PASS),
        ("7.3.9", 9, Outcome.FAIL), ("7.3.9", 10, Outcome.PASS),
        ("8.1.7", 11, Outcome.PASS), ("5.1.0", 2, Outcome.PASS),
    ],
)  # fmt: skip
def test_pools_that_are_too_small(version: str, size: int, outcome: Outcome) -> None:
    facts = (
        Deployment((WorkerConfig("Procfile", concurrency=10, capsules=(("bulk", 3),)),)),
        RedisSettings((changed(SETTING, pool_size=size),)),
        Packages((Package("ruby", "sidekiq", version, "Gemfile.lock"),)),
    )

    assert diagnose("CFG001", HEALTHY.with_(*facts)).outcome is outcome


INITIALIZER = "Sidekiq.configure_server do |config|\n  config.capsule('bulk') do |cap|\n    {}\n  end\n  {}\nend\n"


@pytest.mark.parametrize(
    ("capsule", "config", "outcome", "told"),
    [
        ("cap.concurrency = 0", "", Outcome.FAIL, "capsules.bulk.concurrency of config/initializers/sidekiq.rb is 0"),
        ("cap.concurrency = -1", "", Outcome.FAIL, "is -1"),
        ("cap.concurrency = '5'", "", Outcome.FAIL, "is no number"),
        ("cap.concurrency = 5", "config.concurrency = 0", Outcome.FAIL, "concurrency of config/"),
        ("cap.concurrency = 5", "config.concurrency = '5'", Outcome.PASS, ""),
        ("cap.concurrency = 5", "config.concurrency = 'five'", Outcome.FAIL, "is no number"),
        ("cap.concurrency = ENV.fetch('N', 3).to_i", "", Outcome.PASS, ""),
        ("cap.concurrency = ENV.fetch('N', 0).to_i", "", Outcome.FAIL, "is 0"),
        ("cap.concurrency = ENV.fetch('N').to_i", "", Outcome.UNKNOWN, "capsules.bulk.concurrency is computed"),
        ("cap.concurrency = Settings.threads", "", Outcome.UNKNOWN, "is computed from what no file says"),
        ("cap.concurrency = 0 if Rails.env.test?", "", Outcome.UNKNOWN, "is computed"),
        ("cap.concurrency = 5 if Rails.env.test?", "", Outcome.PASS, ""),
        ("pool.concurrency = 0", "", Outcome.PASS, ""),
    ],
)
def test_threads_of_an_initializer(tmp_path: Path, capsule: str, config: str, outcome: Outcome, told: str) -> None:
    text = INITIALIZER.format(capsule, config)

    result = judged(tmp_path, SOUND, **{"config/initializers/sidekiq.rb": text})

    assert result.outcome is outcome, (result.reason, result.findings)
    assert told in (result.reason or "".join(one.finding.title for one in result.findings))


def test_a_files_threads_and_the_cores_of_its_worker() -> None:
    file = msgspec.structs.replace(
        FILE, path="config/sidekiq.yml", settings=(Setting("concurrency", 1, "number", "30"),)
    )
    for cores, expected in ((1.0, ["low"]), (2.0, []), (None, [])):
        command = msgspec.structs.replace(COMMAND, options=(), cores=cores)
        told = diagnose("CFG001", HEALTHY.with_(WorkerSettings((file,), (command,))))

        assert severities(told) == expected


def test_a_pair_is_told_where_it_stands(tmp_path: Path) -> None:
    [found] = judged(tmp_path, ":queues:\n  - [a, 1]\n  - [b, 20]\n").findings

    assert found.finding.location is not None
    assert found.finding.location.line == 3
