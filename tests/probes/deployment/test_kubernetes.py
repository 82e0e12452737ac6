"""Kubernetes manifests: containers, replicas, surges, and overlays of the same ones."""

from pathlib import Path

import pytest
from trees import deployed

WORKER = """apiVersion: apps/v1
kind: Deployment
metadata: {name: worker}
spec:
  replicas: 6
  strategy: {rollingUpdate: {maxSurge: 1}}
  template:
    spec:
      containers:
        - name: sidekiq
          command: [bundle, exec]
          args: [sidekiq, -c, "12"]
"""


def test_containers_replicas_and_surge(tmp_path: Path) -> None:
    found = deployed(tmp_path, {"deploy/worker.yaml": WORKER})

    assert [(one.path, one.line, one.concurrency, one.processes) for one in found.workers] == [
        ("deploy/worker.yaml", 10, 12, 6)
    ]
    assert (found.surge, found.surge_source) == (True, "deploy/worker.yaml: maxSurge 1")


@pytest.mark.parametrize(
    "strategy", ["{rollingUpdate: {maxSurge: 0}}", '{rollingUpdate: {maxSurge: "0%"}}', "{type: Recreate}"]
)
def test_no_surge(tmp_path: Path, strategy: str) -> None:
    text = WORKER.replace("{rollingUpdate: {maxSurge: 1}}", strategy)

    assert not deployed(tmp_path, {"worker.yaml": text}).surge


def test_a_web_s_surge_is_none_of_the_workers(tmp_path: Path) -> None:
    assert not deployed(tmp_path, {"web.yaml": WORKER.replace("sidekiq, -c", "puma, -w")}).surge


def test_an_overlay_speaks_of_the_same_deployment(tmp_path: Path) -> None:
    patch = "kind: Deployment\nmetadata: {name: worker}\nspec: {replicas: %d}\n"
    named = patch.replace("%d", "%d, template: {spec: {containers: [{name: sidekiq}]}}")
    files = {
        "k8s/base/worker.yaml": WORKER,
        "k8s/overlays/production/worker.yaml": named % 9,
        "k8s/overlays/staging/worker.yaml": named % 1,
    }

    assert [one.processes for one in deployed(tmp_path, files).workers] == [9]
    files["k8s/overlays/production/worker.yaml"] = patch % 4
    assert [one.processes for one in deployed(tmp_path, files).workers] == [4]


def test_its_environment_and_what_nobody_says(tmp_path: Path) -> None:
    env = "          env: [{name: RAILS_MAX_THREADS, value: '7'}, {name: S, valueFrom: {secretKeyRef: {name: x}}}]\n"
    text = WORKER.replace(', -c, "12"', "").replace("  replicas: 6\n", "") + env

    assert [(one.concurrency, one.processes) for one in deployed(tmp_path, {"w.yaml": text}).workers] == [(7, 1)]


def test_a_daemon_set_runs_on_however_many_nodes_there_are(tmp_path: Path) -> None:
    text = WORKER.replace("kind: Deployment", "kind: DaemonSet").replace("  replicas: 6\n", "")

    assert [one.processes for one in deployed(tmp_path, {"w.yaml": text}).workers] == [None]


def test_a_list_and_several_documents(tmp_path: Path) -> None:
    listed = "kind: List\nitems:\n" + "".join(
        f"  {line}\n" for line in ("- " + WORKER.replace("\n", "\n  ")).splitlines()
    )
    text = listed + "---\n" + WORKER.replace("name: worker", "name: other")

    assert len(deployed(tmp_path, {"all.yaml": text}).workers) == 2


@pytest.mark.parametrize("text", ["kind: Service\n", "kind: Deployment\nspec: 5\n", "kind: Deployment\n- x", "a: 1\n"])
def test_what_starts_nothing(tmp_path: Path, text: str) -> None:
    found = deployed(tmp_path, {"x.yaml": text, "config/puma.rb": ""})

    assert (found.workers, found.unreadable) == ((), ())


def test_a_template_that_is_no_yaml_is_told_where_it_speaks_of_a_worker(tmp_path: Path) -> None:
    template = "kind: Deployment\n{{- if .Values.x }}\nspec: {replicas: {{ .Values.replicas }}}\n"
    files = {"a.yaml": template + "# sidekiq\n", "b.yaml": template, "config/puma.rb": ""}

    assert [path for path, _ in deployed(tmp_path, files).unreadable] == ["a.yaml"]
