"""Compose files: services, replicas, and several files about the same ones."""

from pathlib import Path

import pytest
from trees import deployed, started

BASE = """services:
  web: {command: bundle exec puma -w 2 -t 4}
  jobs:
    command: sh -c "bundle exec sidekiq -c 8"
    deploy: {replicas: 3}
"""


def test_a_service_each(tmp_path: Path) -> None:
    found = deployed(tmp_path, {"docker-compose.yml": BASE})

    assert [(one.line, one.concurrency, one.processes) for one in found.workers] == [(3, 8, 3)]
    assert [(one.line, one.processes, one.threads) for one in found.webs] == [(2, 2, 4)]


@pytest.mark.parametrize("name", ["docker-compose.prod.yml", "compose.production.yaml", "docker-compose.override.yml"])
def test_files_about_the_same_services_are_not_summed(tmp_path: Path, name: str) -> None:
    """24 connections were told for 6."""
    more = "services:\n  jobs:\n    deploy: {replicas: 2}\n"

    found = deployed(tmp_path, {"docker-compose.yml": BASE, name: more})

    assert [(one.path, one.concurrency, one.processes) for one in found.workers] == [("docker-compose.yml", 8, 2)]


def test_production_says_it_over_any_other(tmp_path: Path) -> None:
    files = {
        "compose.yml": BASE,
        "compose.override.yml": BASE.replace("-c 8", "-c 1"),
        "compose.prod.yml": BASE.replace("-c 8", "-c 20"),
        "compose.workers.yml": BASE.replace("-c 8", "-c 2"),
    }

    assert [one.concurrency for one in deployed(tmp_path, files).workers] == [20]


@pytest.mark.parametrize(
    "name", ["docker-compose.dev.yml", "docker/test/compose.yml", ".devcontainer/docker-compose.yml"]
)
def test_what_is_for_trials_starts_nothing(tmp_path: Path, name: str) -> None:
    files = {name: BASE.replace("jobs:", "other:"), "docker-compose.yml": BASE}

    assert len(deployed(tmp_path, files).workers) == 1


def test_two_applications_of_one_repository_are_two(tmp_path: Path) -> None:
    files = {"shop/docker-compose.yml": BASE, "mail/docker-compose.yml": BASE}

    assert [one.processes for one in deployed(tmp_path, files).workers] == [3, 3]


@pytest.mark.parametrize(
    ("text", "threads"),
    [
        ("{X: 7}", 7),
        ('{X: "7"}', 7),
        ("[X=7, Y]", 7),
        ("[X]", 5),
        ("null", 5),
    ],
)
def test_its_environment(tmp_path: Path, text: str, threads: int) -> None:
    service = f"services:\n  jobs:\n    command: sidekiq -c ${{X:-5}}\n    environment: {text}\n"

    assert [one.concurrency for one in deployed(tmp_path, {"compose.yml": service}).workers] == [threads]


def test_how_many(tmp_path: Path) -> None:
    text = "services:\n  a: {command: sidekiq}\n  b: {command: sidekiq, scale: 2}\n"
    text += "  c: {command: sidekiq, deploy: {mode: global}}\n"
    text += "  d: {command: sidekiq, deploy: {replicas: '${N:-4}'}}\n  e: {command: sidekiq, deploy: {replicas: 0}}\n"

    assert [one.processes for one in deployed(tmp_path, {"compose.yml": text}).workers] == [1, 2, None, 4, 0]


def test_entrypoint_and_command(tmp_path: Path) -> None:
    text = "services:\n  a:\n    entrypoint: [bundle, exec]\n    command: [sidekiq, -c, 4]\n"

    assert [one.concurrency for one in deployed(tmp_path, {"compose.yml": text}).workers] == [4]


def test_tags_and_merges_of_compose(tmp_path: Path) -> None:
    """bookwyrm: `!reset` made the whole file unreadable."""
    text = "x-job: &job {command: sidekiq -c 6, ports: !reset []}\nservices:\n  a: {<<: *job, deploy: {replicas: 2}}\n"

    found = deployed(tmp_path, {"compose.yml": text})

    assert [(one.concurrency, one.processes) for one in found.workers] == [(6, 2)]
    assert found.unreadable == ()


def test_preload_counts_as_in_a_procfile(tmp_path: Path) -> None:
    text = "services:\n  web:\n    command: gunicorn --preload shop.wsgi\n"

    assert [(one.name, one.line, one.forks) for one in started(tmp_path, {"compose.yml": text})] == [
        ("gunicorn:preload_app", 2, True)
    ]


@pytest.mark.parametrize(
    "text", ["services: 5", "services: [a]", "services: {a: 5}", "services: {a: {command: {b: c}}}", "- a"]
)
def test_compose_files_that_say_nothing(tmp_path: Path, text: str) -> None:
    assert deployed(tmp_path, {"compose.yml": text, "config/puma.rb": ""}).workers == ()


def test_a_broken_one_is_told(tmp_path: Path) -> None:
    assert deployed(tmp_path, {"compose.yml": "services:\n  a: [\n"}).unreadable == (
        ("compose.yml", "it is not YAML (line 3)"),
    )


@pytest.mark.parametrize("count", ["1000000000", "9" * 5000, "-1", "²"])
def test_numbers_that_nobody_can_mean_are_not_said(tmp_path: Path, count: str) -> None:
    text = f"services: {{a: {{command: sidekiq -c {count}, deploy: {{replicas: {count}}}}}}}\n"

    assert [(one.concurrency, one.processes) for one in deployed(tmp_path, {"compose.yml": text}).workers] == [
        (None, 1)
    ]
