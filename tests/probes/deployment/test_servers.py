"""Web servers: processes, threads, and whether they load the application before they fork."""

from pathlib import Path

import pytest
from trees import deployed, started

PUMA = 'n = ENV.fetch("RAILS_MAX_THREADS") { 4 }\nthreads n, n\nworkers ENV.fetch("WEB_CONCURRENCY", 2)\n'


def webs(root: Path, files: dict[str, str]) -> list[tuple[int | None, int | None]]:
    return [(one.processes, one.threads) for one in deployed(root, files).webs]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("bundle exec puma", (2, 4)),
        ("rails server", (2, 4)),
        ("puma -w 3", (3, 4)),
        ("puma -t 1:16", (2, 16)),
        ("puma -t 0:${T:-6}", (2, 6)),
        ("WEB_CONCURRENCY=5 RAILS_MAX_THREADS=9 puma", (5, 9)),
        ("puma -C config/other.rb", (1, 7)),
    ],
)
def test_puma_by_its_file_and_its_command(tmp_path: Path, command: str, expected: tuple[int, int]) -> None:
    files = {"Procfile": f"web: {command}\n", "config/puma.rb": PUMA, "config/other.rb": "threads 1, 7\n"}

    assert webs(tmp_path, files) == [expected]


def test_a_file_alone_is_the_server(tmp_path: Path) -> None:
    assert webs(tmp_path, {"config/puma.rb": PUMA}) == [(2, 4)]
    assert webs(tmp_path, {"config/puma.rb": ""}) == [(1, 5)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("workers = 3\nthreads = 2\n", (3, 2)),
        ("import os\nworkers = int(os.environ.get('W', 6))\nthreads: int = os.getenv('T') or 2\n", (6, 2)),
        ("import os\nN = os.environ['W']\nworkers = N\n", (1, 1)),
        ("import multiprocessing\nworkers = multiprocessing.cpu_count() * 2 + 1\n", (1, 1)),
        ("workers = workers\n", (1, 1)),
    ],
)
def test_gunicorn_by_its_file(tmp_path: Path, text: str, expected: tuple[int, int]) -> None:
    assert webs(tmp_path, {"gunicorn.conf.py": text, "Procfile": "web: gunicorn a:b\n"}) == [expected]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("gunicorn -w 4 --threads 8 a:b", (4, 8)),
        ("WEB_CONCURRENCY=3 gunicorn a:b", (3, 1)),
        ("GUNICORN_CMD_ARGS='-w 5 --threads=2' gunicorn --threads 6 a:b", (5, 6)),
        ("gunicorn -k gevent a:b", (1, 1000)),
        ("gunicorn -k gevent --worker-connections 50 a:b", (1, 50)),
        ("uwsgi --processes 4 --threads 2", (4, 2)),
        ("unicorn -c config/unicorn.rb", (6, 1)),
        ("unicorn -c none.rb", (1, 1)),
    ],
)
def test_others_by_their_commands(tmp_path: Path, command: str, expected: tuple[int, int]) -> None:
    files = {"Procfile": f"web: {command}\n", "config/unicorn.rb": "worker_processes 6\n"}

    assert webs(tmp_path, files) == [expected]


def names(root: Path, files: dict[str, str]) -> list[tuple[str, str, int, bool]]:
    return [(one.name, one.path, one.line, one.forks) for one in started(root, files)]


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"gunicorn.conf.py": "x = 1\npreload_app = True\n"}, [("gunicorn:preload_app", "gunicorn.conf.py", 2, True)]),
        ({"gunicorn.conf.py": "preload_app = False\n"}, []),
        (
            {"Procfile": "web: gunicorn -c prod.conf.py a:b\n", "prod.conf.py": "preload_app = True\n"},
            [("gunicorn:preload_app", "prod.conf.py", 1, True)],
        ),
        ({"config/puma.rb": "workers 2\npreload_app!\n"}, [("preload", "config/puma.rb", 2, True)]),
        ({"config/puma.rb": "workers 2\npreload_app! false\n"}, []),
        ({"config/puma.rb": "workers ENV.fetch('W', 0)\npreload_app!\n"}, []),
        ({"config/puma.rb": "preload_app!\n"}, []),
        ({"config/puma.rb": "workers Etc.nprocessors\npreload_app!\n"}, [("preload", "config/puma.rb", 2, True)]),
        ({"config/unicorn.rb": "preload_app true\n"}, [("preload", "config/unicorn.rb", 1, True)]),
        ({"config/unicorn.rb": "preload_app false\n"}, []),
        ({"config/unicorn.rb": "preload_app true\n", "Procfile": "web: puma -w 2\n"}, []),
        ({"config/unicorn.rb": "preload_app true\n", "config/puma.rb": "workers 2\n"}, []),
        ({"uwsgi.ini": "[uwsgi]\nmodule = x\n"}, [("uwsgi", "uwsgi.ini", 1, True)]),
        (
            {"uwsgi.ini": "[uwsgi]\nlazy-apps = true\nenable-threads\n"},
            [("uwsgi", "uwsgi.ini", 1, False), ("uwsgi:enable-threads", "uwsgi.ini", 1, False)],
        ),
        (
            {"uwsgi.ini": "[uwsgi]\nthreads = 4\nlazy-apps = false\n"},
            [("uwsgi", "uwsgi.ini", 1, True), ("uwsgi:enable-threads", "uwsgi.ini", 1, False)],
        ),
        (
            {"Procfile": "web: uwsgi --lazy-apps --enable-threads\n"},
            [("uwsgi", "Procfile", 1, False), ("uwsgi:enable-threads", "Procfile", 1, False)],
        ),
        ({"Procfile": "web: puma -w 2 --preload\n"}, [("preload", "Procfile", 1, True)]),
        ({"Procfile": "web: puma --preload\n"}, []),
    ],
)
def test_what_is_loaded_before_the_fork(
    tmp_path: Path, files: dict[str, str], expected: list[tuple[str, str, int, bool]]
) -> None:
    assert names(tmp_path, files) == expected


def test_a_broken_file_is_told(tmp_path: Path) -> None:
    files = {"uwsgi.ini": "processes = 4\n", "gunicorn.conf.py": "workers = (\n"}

    assert dict(deployed(tmp_path, files).unreadable) == {
        "uwsgi.ini": "it is no INI file",
        "gunicorn.conf.py": "SyntaxError: '(' was never closed (line 1)",
    }
