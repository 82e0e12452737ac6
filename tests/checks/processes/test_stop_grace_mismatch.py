"""PRO010: the time that workers take to end, and the time that platforms give."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.config.stops import stops

POD = """kind: Deployment
metadata: {name: jobs}
spec:
  template:
    spec:
      terminationGracePeriodSeconds: %s
      containers:
        - name: jobs
          command: [bundle, exec, sidekiq, -t, "%s"]
          lifecycle: {preStop: {exec: {command: [sh, -c, "sleep %s"]}}}
"""
UNIT = "[Service]\nExecStart=/usr/bin/bundle exec sidekiq -t 60\n"
KAMAL = "service: a\nservers: {jobs: {hosts: [h], cmd: bundle exec sidekiq -t %s}}\n"
SERVICE = "services:\n  jobs: {command: bundle exec sidekiq -t 20%s}\n"


NAMED = "kind: Deployment\nmetadata: {name: jobs}\nspec:\n  template:\n    spec:\n"
HOOKED = f"{NAMED}      containers: [{{name: jobs, lifecycle: {{preStop: {{sleep: {{seconds: %s}}}}}}}}]\n"
GRACE = f"{NAMED}      terminationGracePeriodSeconds: %s\n      containers: [{{name: jobs}}]\n"


def judged(root: Path, files: dict[str, str], version: str = "7.3.9") -> Result:
    locked = Packages((Package("ruby", "sidekiq", version, "Gemfile.lock"),))
    return diagnose("PRO010", HEALTHY.with_(stops.read(tree(root, files)), locked))


@pytest.mark.parametrize(
    ("fault", "twin"),
    [
        ({"k.yaml": POD % (27, 25, 0)}, {"k.yaml": POD % (28, 25, 0)}),
        (
            {"base/k.yaml": POD % (40, 25, 0), "overlays/prod/k.yaml": HOOKED % 15},
            {"base/k.yaml": POD % (43, 25, 0), "overlays/prod/k.yaml": HOOKED % 15},
        ),
        (
            {"base/k.yaml": POD % (60, 25, 15), "overlays/prod/k.yaml": GRACE % 40},
            {"base/k.yaml": POD % (60, 25, 15), "overlays/prod/k.yaml": GRACE % 43},
        ),
        (
            {"a.service": f"{UNIT}TimeoutStopSec=90\n", "a.service.d/o.conf": "[Service]\nKillMode=none\n"},
            {"a.service": f"{UNIT}TimeoutStopSec=90\n", "a.service.d/o.conf": "[Service]\nKillMode=mixed\n"},
        ),
        ({"k.yaml": POD % (40, 25, 15)}, {"k.yaml": POD % (43, 25, 15)}),
        ({"a.service": f"{UNIT}TimeoutStopSec=60\n"}, {"a.service": f"{UNIT}TimeoutStopSec=1min 5s\n"}),
        ({"a.service": f"{UNIT}KillSignal=SIGKILL\n"}, {"a.service": f"{UNIT}KillSignal=SIGTERM\n"}),
        ({"a.service": f"{UNIT}KillMode=none\n"}, {"a.service": f"{UNIT}KillMode=mixed\n"}),
        ({"compose.yml": SERVICE % ""}, {"compose.yml": SERVICE % ", stop_grace_period: 30s"}),
        (
            {"compose.yml": SERVICE % ""},
            {"compose.yml": SERVICE % "", "compose.prod.yml": "services: {jobs: {stop_grace_period: 1m}}\n"},
        ),
        (
            {"Procfile": "w: sidekiq -t 28", "app.json": "{}"},
            {"Procfile": "w: sidekiq -t 27", "app.json": "{}"},
        ),
        (
            {"Procfile": "w: sidekiq", "app.json": "{}", "config/sidekiq.yml": ":timeout: 60\n"},
            {"Procfile": "w: sidekiq -t 20", "app.json": "{}", "config/sidekiq.yml": ":timeout: 60\n"},
        ),
        ({"config/deploy.yml": KAMAL % 28}, {"config/deploy.yml": KAMAL % 27}),
        (
            {"config/deploy.yml": KAMAL % 60},
            {"config/deploy.yml": f"{KAMAL % 60}drain_timeout: 65\n"},
        ),
        (
            {"fly.toml": '[processes]\nworker = "exec sidekiq"\n'},
            {"fly.toml": 'kill_timeout = 40\n[processes]\nworker = "exec sidekiq"\n'},
        ),
    ],
)
def test_fault_and_twin(tmp_path: Path, fault: dict[str, str], twin: dict[str, str]) -> None:
    ill, well = judged(tmp_path / "ill", fault), judged(tmp_path / "well", twin)

    assert ill.outcome is Outcome.FAIL, ill.reason
    assert well.outcome is Outcome.PASS, (well.reason, well.findings)


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        ('sh -c "bundle exec sidekiq"', Outcome.FAIL),
        ('sh -c "exec bundle exec sidekiq"', Outcome.PASS),
        ('tini -- sh -c "bundle exec sidekiq"', Outcome.PASS),
        ("bundle exec sidekiq", Outcome.PASS),
    ],
)
def test_a_shell_that_is_the_first_process(tmp_path: Path, command: str, outcome: Outcome) -> None:
    text = f"services:\n  jobs:\n    command: {command}\n    stop_grace_period: 40s\n"

    result = judged(tmp_path, {"compose.yml": text})

    assert result.outcome is outcome
    assert {str(one.severity) for one in result.findings} <= {"medium"}


def test_a_script_that_hands_over(tmp_path: Path) -> None:
    files = {"Dockerfile": 'FROM x\nCMD ["./bin/work"]\n', "bin/work": "#!/bin/sh\nset -e\nbundle exec sidekiq\n"}
    assert judged(tmp_path, files).outcome is Outcome.FAIL
    assert judged(tmp_path, {**files, "bin/work": "#!/bin/sh\nexec bundle exec sidekiq\n"}).outcome is Outcome.PASS


def test_how_somebody_develops_is_low(tmp_path: Path) -> None:
    [finding] = judged(tmp_path, {"compose.yml": SERVICE % ", volumes: ['.:/app']"}).findings

    assert finding.severity == "low"


def test_older_versions_wait_eight_seconds(tmp_path: Path) -> None:
    files = {"compose.yml": "services:\n  jobs: {command: sidekiq, stop_grace_period: 12s}\n"}

    assert judged(tmp_path, files, "5.2.10").outcome is Outcome.PASS
    assert judged(tmp_path, files, "6.5.12").outcome is Outcome.FAIL


def test_what_nobody_says(tmp_path: Path) -> None:
    assert judged(tmp_path, {"Procfile": "w: sidekiq -t 60"}).outcome is Outcome.UNKNOWN
    assert judged(tmp_path, {"Procfile": "w: sidekiq -t 20"}).outcome is Outcome.PASS
    assert judged(tmp_path, {"Procfile": "w: sidekiq"}, "").outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("files", "outcome"),
    [
        ({"k.yaml": POD % ("{{ .Values.grace }}", 25, 0)}, Outcome.UNKNOWN),
        ({"k.yaml": POD % ("${GRACE}", 25, 0)}, Outcome.UNKNOWN),
        ({"compose.yml": SERVICE % ", stop_grace_period: '${GRACE}'"}, Outcome.UNKNOWN),
        ({"compose.yml": SERVICE % ", stop_grace_period: '${GRACE:-5s}'"}, Outcome.FAIL),
        ({"compose.yml": SERVICE % ", stop_grace_period: '${GRACE:-50s}'"}, Outcome.PASS),
        ({"a.service": f"{UNIT}TimeoutStopSec={{{{ grace }}}}\n"}, Outcome.UNKNOWN),
    ],
    ids=["a template", "a variable", "compose's", "a default", "a longer default", "a unit's template"],
)
def test_a_grace_that_the_file_does_not_tell(tmp_path: Path, files: dict[str, str], outcome: Outcome) -> None:
    assert judged(tmp_path, files).outcome is outcome


CHART = {
    "chart/Chart.yaml": "apiVersion: v2\nname: shop\n",
    "chart/values.yaml": """\
jobs:
  enabled: true
  grace: %s
  command: [bundle, exec, sidekiq]
  node: {a: b}
spare: {}
""",
    "chart/templates/jobs.yaml": """\
{{- if .Values.jobs.enabled }}
kind: Deployment
metadata:
  name: {{ include "shop.fullname" . }}-jobs
  labels:
    {{- include "shop.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.jobs.replicas | default 2 }}
  template:
    spec:
      terminationGracePeriodSeconds: {{ .Values.jobs.grace }}
      {{- with .Values.spare }}
      tolerations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      nodeSelector:
        {{- toYaml .Values.jobs.node | nindent 8 }}
      containers:
        - name: jobs
          image: "{{ .Values.image }}:{{ .Values.tag | default .Chart.AppVersion }}"
          command: {{ toJson .Values.jobs.command }}
{{- end }}
""",
}


def chart(grace: object, **more: str) -> dict[str, str]:
    return {**CHART, "chart/values.yaml": CHART["chart/values.yaml"] % grace, **more}


def test_a_chart_with_its_own_values(tmp_path: Path) -> None:
    [finding] = judged(tmp_path / "ill", chart(20)).findings

    assert finding.finding.location is not None
    assert finding.finding.location.path == "chart/templates/jobs.yaml"
    assert judged(tmp_path / "well", chart(40)).outcome is Outcome.PASS
    assert judged(tmp_path / "untold", chart("")).outcome is Outcome.UNKNOWN


def test_a_chart_s_values_for_production_win(tmp_path: Path) -> None:
    over = {"chart/values-production.yaml": "jobs: {grace: 20}\n"}

    assert judged(tmp_path, chart(40, **over)).outcome is Outcome.FAIL


def test_what_a_chart_does_not_start(tmp_path: Path) -> None:
    text = CHART["chart/templates/jobs.yaml"].replace(".Values.jobs.enabled", "not .Values.jobs.enabled")

    with pytest.raises(AbsenceError):
        judged(tmp_path, chart(20, **{"chart/templates/jobs.yaml": text}))


def test_a_template_that_says_more_than_values(tmp_path: Path) -> None:
    text = "{{- range .Values.all }}\n" + CHART["chart/templates/jobs.yaml"] + "{{- end }}\n"

    assert judged(tmp_path, chart(20, **{"chart/templates/jobs.yaml": text})).outcome is Outcome.UNKNOWN
