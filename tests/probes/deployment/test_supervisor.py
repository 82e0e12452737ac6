"""supervisord's programs, and Kamal's roles: what they start, how many, and how long that may take to end."""

from pathlib import Path

import pytest
from judging import read
from trees import deployed

LOCK = "GEM\n  specs:\n    sidekiq (7.3.2)\n\nDEPENDENCIES\n  sidekiq\n"
SUPERVISOR = """[supervisord]
nodaemon=true

[program:jobs]
command=bundle exec sidekiq ; the workers
  -c 7
numprocs=3
environment=RAILS_ENV="production",A='1'
{more}
[eventlistener:mail]
command=bundle exec sidekiq -c 99
"""
KAMAL = "service: shop\nservers:\n  web: [h1]\n  jobs:\n    hosts: [h1, h2]\n    cmd: bundle exec sidekiq -c 8\n{more}"


@pytest.mark.parametrize(
    ("path", "text", "line", "threads", "processes"),
    [("docker/supervisord.conf", SUPERVISOR, 5, 7, 3), ("config/deploy.yml", KAMAL, 6, 8, 2)],
)
def test_what_is_started(tmp_path: Path, path: str, text: str, line: int, threads: int, processes: int) -> None:
    [worker] = deployed(tmp_path, {path: text.format(more="")}).workers

    assert (worker.path, worker.line, worker.concurrency, worker.processes) == (path, line, threads, processes)


@pytest.mark.parametrize(
    ("path", "text", "more", "ill"),
    [
        ("supervisord.conf", SUPERVISOR, "", True),
        ("supervisord.conf", SUPERVISOR, "stopwaitsecs=60\n", False),
        ("supervisord.conf", SUPERVISOR, "; stopwaitsecs=60\n", True),
        ("supervisord.conf", SUPERVISOR, "stopwaitsecs=60\nstopsignal=KILL\n", True),
        ("config/deploy.yml", KAMAL, "drain_timeout: 10\n", True),
        ("config/deploy.yml", KAMAL, "drain_timeout: 40\n", False),
    ],
)
def test_how_it_ends(tmp_path: Path, path: str, text: str, more: str, ill: bool) -> None:
    found = read("PRO010", tmp_path, {"Gemfile.lock": LOCK, path: text.format(more=more)})

    assert [one.severity for one in found.findings] == ["high"] * ill
