"""Procfile and app.json: process types, and how many of each."""

from pathlib import Path

import pytest
from trees import deployed, started

PROCFILE = (
    "# worker: sidekiq -c 9\nweb: bundle exec puma -w 2 -t 5:5\nworker: bundle exec sidekiq -c 3\nslow: sidekiq -c4\n"
)
FORMATION = '{"worker": {"quantity": 4}, "slow": {"quantity": 1}}'
APP = f'{{"env": {{"RAILS_MAX_THREADS": "12", "X": {{"value": "6"}}}}, "formation": {FORMATION}}}'


def test_a_line_each(tmp_path: Path) -> None:
    found = deployed(tmp_path, {"Procfile": PROCFILE})

    assert [(one.path, one.line, one.concurrency, one.processes) for one in found.workers] == [
        ("Procfile", 3, 3, None),
        ("Procfile", 4, 4, None),
    ]
    assert [(one.processes, one.threads, one.line) for one in found.webs] == [(2, 5, 2)]


def test_app_json_says_how_many_and_in_what_environment(tmp_path: Path) -> None:
    files = {"Procfile": "worker: sidekiq\nslow: sidekiq -c ${X:-1}\nmore: sidekiq\n", "app.json": APP}

    found = deployed(tmp_path, files)

    assert [(one.line, one.concurrency, one.processes) for one in found.workers] == [
        (1, 12, 4),
        (2, 6, 1),
        (3, 12, None),
    ]


@pytest.mark.parametrize(
    ("addons", "clients"),
    [
        ('["heroku-redis:premium-1"]', 80),
        ('[{"plan": "heroku-redis:mini"}, "heroku-postgresql"]', 20),
        ('["heroku-redis"]', 20),
        ('["heroku-redis:premium-3", "heroku-redis:premium-0"]', 40),
        ('["heroku-redis:hobby-dev", "rediscloud:30", 5, []]', None),
        ("{}", None),
    ],
)
def test_the_redis_that_it_orders(tmp_path: Path, addons: str, clients: int | None) -> None:
    found = deployed(tmp_path, {"Procfile": "worker: sidekiq\n", "app.json": f'{{"addons": {addons}}}'})

    assert found.redis_clients == clients
    assert ("in app.json, table of 2024-10-11" in found.redis_plan) is (clients is not None)


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"formation": 5}', '{"formation": {"worker": {"quantity": "many"}}}', '{"formation": {"worker": []}}'],
)
def test_an_app_json_that_says_nothing(tmp_path: Path, text: str) -> None:
    [worker] = deployed(tmp_path, {"Procfile": "worker: sidekiq\n", "app.json": text}).workers

    assert worker.processes is None


def test_a_procfile_for_production_is_the_other_again_and_one_for_development_is_none(tmp_path: Path) -> None:
    files = {"Procfile": "worker: sidekiq -c 3\n", "Procfile.production": "worker: sidekiq -c 9\n"}

    assert [one.concurrency for one in deployed(tmp_path, files).workers] == [9]
    assert [one.concurrency for one in deployed(tmp_path, {"Procfile.dev": "more: sidekiq -c 4\n"}).workers] == [9]


def test_how_it_is_started(tmp_path: Path) -> None:
    text = (
        "web: gunicorn --preload shop.wsgi\nworker: celery -A shop worker\nthreads: celery -A shop worker -P threads\n"
    )

    assert [(one.name, one.line, one.forks) for one in started(tmp_path, {"Procfile": text})] == [
        ("celery prefork", 2, True),
        ("gunicorn:preload_app", 1, True),
    ]


def test_a_configuration_that_the_command_names_is_the_one(tmp_path: Path) -> None:
    """feedbin: the Procfile names another file, with concurrency 10."""
    files = {
        "Procfile": "worker: bundle exec sidekiq --config config/sidekiq/mail.yml\n",
        "config/sidekiq.yml": "concurrency: 5\n",
        "config/sidekiq/mail.yml": "concurrency: 10\nqueues: [mail]\n",
    }

    [worker] = deployed(tmp_path, files).workers

    assert (worker.concurrency, worker.queues) == (10, ("mail",))


def test_a_configuration_that_is_not_there_is_told(tmp_path: Path) -> None:
    found = deployed(
        tmp_path, {"Procfile": "worker: sidekiq -C config/none.yml\n", "config/sidekiq.yml": "concurrency: 5\n"}
    )

    assert [one.concurrency for one in found.workers] == [None]
    assert found.unreadable == (("config/none.yml", "sidekiq is started with this configuration, and it is not there"),)


def test_a_configuration_by_the_image_s_own_path(tmp_path: Path) -> None:
    files = {"Procfile": "worker: sidekiq -C /app/config/mail.yml\n", "config/mail.yml": "concurrency: 10\n"}

    assert [one.concurrency for one in deployed(tmp_path, files).workers] == [10]


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret.yml", "/proc/self/environ"])
def test_a_configuration_outside_is_not_read(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.yml").write_text("concurrency: 99\n")

    found = deployed(tmp_path / "root", {"Procfile": f"worker: sidekiq -C {path}\n"})

    assert [one.concurrency for one in found.workers] == [None]
    assert [one for one, _ in found.unreadable] == [path]


@pytest.mark.parametrize("option", ["-c ²", f"-c {'9' * 5000}", "-c", "-c -", "-c ''", "--concurrency=٣"])
def test_a_number_that_is_none_is_not_said(tmp_path: Path, option: str) -> None:
    [worker] = deployed(tmp_path, {"Procfile": f"worker: sidekiq {option}\n"}).workers

    assert worker.concurrency is None


def test_our_own_worker(tmp_path: Path) -> None:
    [worker] = deployed(tmp_path, {"Procfile": "worker: kiqdoctor work shop.jobs -c 9 -q mail,2 -q default\n"}).workers

    assert (worker.language, worker.concurrency, worker.queues) == ("python", 9, ("mail", "default"))
