"""CFG006: autoscalers that leave nobody to look at schedule and retry."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from trees import tree

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.config.autoscalers import autoscalers

SCALER = """kind: ScaledObject
metadata: {name: jobs}
spec:
  scaleTargetRef: {name: jobs}
  minReplicaCount: %s
  triggers:
"""
TRIGGER = "    - {type: redis, metadata: {listName: '%s'}}\n"
HPA = "kind: HorizontalPodAutoscaler\nspec: {scaleTargetRef: {name: jobs}}\n"
QUEUE = TRIGGER % "queue:default"
POD = """kind: Deployment
metadata: {name: %s}
spec: {replicas: %s, template: {spec: {containers: [{name: a, command: [sidekiq]}]}}}
"""


def judged(root: Path, files: dict[str, str]) -> Result:
    return diagnose("CFG006", HEALTHY.with_(autoscalers.read(tree(root, files))))


def test_to_none_by_queues_alone(tmp_path: Path) -> None:
    [finding] = judged(tmp_path, {"k/scaler.yaml": SCALER % 0 + QUEUE, "k/jobs.yaml": POD % ("jobs", 1)}).findings

    assert finding.severity == "high"
    assert "schedule and retry" in finding.finding.title
    assert finding.finding.location is not None
    assert finding.finding.location.line == 5


@pytest.mark.parametrize(
    "files",
    [
        {"k/scaler.yaml": SCALER % 1 + QUEUE},
        {"k/scaler.yaml": SCALER % 0 + QUEUE + TRIGGER % "schedule" + TRIGGER % "retry"},
        {"k/scaler.yaml": SCALER % 0 + QUEUE + TRIGGER % "shop:schedule" + TRIGGER % "shop:retry"},
        {"k/scaler.yaml": SCALER % 0 + QUEUE, "k/jobs.yaml": POD % ("jobs", 1), "k/other.yaml": POD % ("other", 1)},
        {"k/staging/scaler.yaml": SCALER % 0 + QUEUE, "k/a.yaml": SCALER % 1 + QUEUE},
        {"k/hpa.yaml": HPA, "k/b.yaml": SCALER % 2 + QUEUE},
    ],
)  # fmt: skip
def test_twins(tmp_path: Path, files: dict[str, str]) -> None:
    result = judged(tmp_path, files)

    assert result.outcome is Outcome.PASS, (result.reason, result.findings)


def test_a_worker_that_may_be_none_too_is_no_help(tmp_path: Path) -> None:
    files = {"k/scaler.yaml": SCALER % 0 + QUEUE, "k/other.yaml": POD % ("other", 0)}

    assert judged(tmp_path, files).outcome is Outcome.FAIL


def test_a_source_that_nobody_knows(tmp_path: Path) -> None:
    other = "    - {type: prometheus, metadata: {query: sidekiq_queue_latency}}\n"

    files = {"k/scaler.yaml": SCALER % 0 + other, "k/jobs.yaml": POD % ("jobs", 1)}
    assert judged(tmp_path, files).outcome is Outcome.UNKNOWN


def test_what_scales_something_else_is_passed_over(tmp_path: Path) -> None:
    web = SCALER.replace("jobs", "web") % 0 + "    - {type: prometheus}\n"

    assert judged(tmp_path, {"k/scaler.yaml": web, "k/jobs.yaml": POD % ("jobs", 1)}).outcome is Outcome.PASS
