"""render.yaml: a blueprint's services."""

from pathlib import Path

import pytest
from trees import deployed, started

BLUEPRINT = """\
services:
  - type: web
    name: shop
    startCommand: bundle exec puma -w 2 -t 5:5
    numInstances: 2
  - type: worker
    name: jobs
    startCommand: bundle exec rails db:migrate && bundle exec sidekiq
    numInstances: 3
    envVars:
      - fromGroup: shared
      - {key: SECRET, sync: false}
  - {type: cron, name: nightly, startCommand: bundle exec sidekiq -c 99}
  - {type: keyvalue, name: redis, plan: free}
envVarGroups:
  - name: shared
    envVars: [{key: RAILS_MAX_THREADS, value: 7}]
"""


def test_services_instances_and_shared_variables(tmp_path: Path) -> None:
    found = deployed(tmp_path, {"render.yaml": BLUEPRINT})

    assert [(one.path, one.line, one.concurrency, one.processes) for one in found.workers] == [("render.yaml", 6, 7, 3)]
    assert [(one.line, one.processes, one.threads) for one in found.webs] == [(2, 4, 5)]


@pytest.mark.parametrize(
    ("text", "instances"),
    [
        ("numInstances: 3", 3),
        ("scaling: {minInstances: 1, maxInstances: 8}", 8),
        ("numInstances: ²", 1),
        ("plan: pro", 1),
    ],
)
def test_how_many(tmp_path: Path, text: str, instances: int) -> None:
    found = deployed(tmp_path, {"render.yaml": BLUEPRINT.replace("numInstances: 3", text)})

    assert [one.processes for one in found.workers] == [instances]


def test_it_says_what_really_runs(tmp_path: Path) -> None:
    files = {
        "render.yaml": "services: [{type: worker, name: a, dockerCommand: celery -A shop worker}]\n",
        "Procfile": "worker: celery -A shop worker -P threads\n",
    }

    assert [(one.path, one.name) for one in started(tmp_path, files)] == [("render.yaml", "celery prefork")]


@pytest.mark.parametrize("text", ["", "services: 5", "services: [a]", "- a", "services: [{type: worker}]"])
def test_blueprints_that_start_nothing(tmp_path: Path, text: str) -> None:
    assert deployed(tmp_path, {"render.yaml": text, "config/puma.rb": ""}).workers == ()
