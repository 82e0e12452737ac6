"""``manage.py kiqdoctor_work`` runs what an application's ``jobs.py`` defines."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from servers import RedisServer, eventually

MANAGE = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
SETTINGS = """
SECRET_KEY = "x"
INSTALLED_APPS = ["kiqdoctor.integrations.django.KiqdoctorConfig", "shop"]
KIQDOCTOR_CHECK = False
"""
JOBS = """
import redis
from kiqdoctor import job
@job(name="Sell")
def sell(what):
    redis.Redis.from_url("{url}").rpush("sold", what)
"""


def test_it_works_from_another_folder_with_the_options_of_work(
    redis: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    site = tmp_path / "site"
    (site / "shop").mkdir(parents=True)
    (site / "shop" / "__init__.py").write_text("")
    (site / "shop" / "jobs.py").write_text(JOBS.replace("{url}", redis_server.url))
    (site / "site_settings.py").write_text(SETTINGS)
    (site / "manage.py").write_text(MANAGE)
    redis.lpush("queue:shop", json.dumps({"class": "Sell", "args": ["tea"], "jid": "5e11", "queue": "shop"}))
    words = [sys.executable, str(site / "manage.py"), "kiqdoctor_work", "--settings", "site_settings",
             "-q", "shop", "-c", "1", "--redis", redis_server.url]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen(words, cwd=tmp_path, stdout=log, stderr=log, env=dict(os.environ))
    try:
        eventually(lambda: redis.lrange("sold", 0, -1) == [b"tea"], "the job")
        worker.terminate()
        assert worker.wait(120) == 0, (tmp_path / "log").read_text()
    finally:
        if worker.poll() is None:
            worker.kill()
            worker.wait()


def test_without_django_a_module_is_asked_for() -> None:
    environ = {name: value for name, value in os.environ.items() if name != "DJANGO_SETTINGS_MODULE"}
    run = subprocess.run(
        [sys.executable, "-m", "kiqdoctor", "work"], capture_output=True, text=True, check=False, env=environ
    )

    assert run.returncode == 2
    assert "Missing argument 'MODULE...'" in run.stderr
