"""Which deployment counts, of those that an application's files describe."""

from pathlib import Path

import pytest
from trees import deployed

from kiqdoctor.doctor.probe import AbsenceError
from kiqdoctor.probes.deployment.paths import Stage, stage

KUBERNETES = "kind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{command: [sidekiq]}]}}}\n"
FILES = {
    "worker.yaml": KUBERNETES,
    "compose.yml": "services: {a: {command: sidekiq}}\n",
    "sidekiq.service": "[Service]\nExecStart=/usr/bin/sidekiq\n",
    "Procfile": "worker: sidekiq\n",
    "Dockerfile": "FROM x\nCMD sidekiq\n",
}


def test_the_first_way_that_runs_a_worker(tmp_path: Path) -> None:
    deployed(tmp_path, FILES)

    for path in FILES:
        assert [one.path for one in deployed(tmp_path, {}).workers] == [path]
        (tmp_path / path).unlink()
    with pytest.raises(AbsenceError):
        deployed(tmp_path, {})


def test_a_way_without_workers_is_passed_over_and_its_web_too(tmp_path: Path) -> None:
    files = {"compose.yml": "services: {a: {command: puma -w 9}}\n", "Procfile": "web: puma -w 2\nworker: sidekiq\n"}

    found = deployed(tmp_path, files)

    assert [one.path for one in found.workers] == ["Procfile"]
    assert [one.processes for one in found.webs] == [2]


@pytest.mark.parametrize(
    "path", ["Procfile.dev", "docker-compose.test.yml", "k8s/staging/a.yaml", "deploy/local/x.yml"]
)
def test_trials(path: str) -> None:
    assert stage(path) is Stage.TRIAL


@pytest.mark.parametrize(
    "path", ["compose.prod.yml", "k8s/overlays/production/a.yml", "docker-compose.production.yaml"]
)
def test_production(path: str) -> None:
    assert stage(path) is Stage.PRODUCTION


@pytest.mark.parametrize(
    "path", ["Procfile", "compose.yml", "deploy/worker.yaml", "devices/x.yml", "contest/a.service"]
)
def test_neither(path: str) -> None:
    assert stage(path) is Stage.ANY
