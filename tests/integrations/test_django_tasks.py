"""Django's Tasks on our backend: of Django 6 itself, or of the package django-tasks before it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest
import roots
from servers import RedisServer, eventually

SETTINGS: Final = """
SECRET_KEY = "x"
USE_TZ = True
INSTALLED_APPS = ["kiqdoctor.integrations.django.KiqdoctorConfig", "shop"]
KIQDOCTOR_CHECK = False
BACKEND = "kiqdoctor.integrations.django.tasks.Backend"
TASKS = {
    "default": {"BACKEND": BACKEND, "QUEUES": ["default", "mail"], "OPTIONS": {"retry_in": lambda count, error: 1}},
    "once": {"BACKEND": BACKEND, "OPTIONS": {"retry": False}},
}
"""
TASKS: Final = """
from kiqdoctor.integrations.django.tasks import FRAMEWORK
from importlib import import_module
task = import_module(FRAMEWORK).task
finished = import_module(FRAMEWORK + ".signals").task_finished

@task
def add(a, b=1):
    return a + b

@task(takes_context=True, queue_name="mail")
def second(context, word):
    if context.attempt == 1:
        raise ValueError("at first")
    return [context.attempt, word]

@task
async def pair(a, *, b):
    return a, b

@task(backend="once")
def fail():
    raise KeyError("password=hunter2")

def heard(sender, task_result, **_):
    import kiqdoctor
    from kiqdoctor.runtime import config
    config.client().rpush("finished", f"{task_result.task.name} {task_result.status}")

finished.connect(heard, weak=False)
"""
MANAGE: Final = """
import os, sys
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "site_settings")
from django.core.management import execute_from_command_line
execute_from_command_line(sys.argv)
"""
ASK: Final = """
import asyncio, datetime, json, time
import django
django.setup()
from shop import tasks
soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
asked = {
    "add": tasks.add.enqueue(1, b=2),
    "second": tasks.second.enqueue("x"),
    "pair": tasks.pair.enqueue((1, 2), b=3),
    "fail": tasks.fail.enqueue(),
    "later": tasks.add.using(run_after=soon).enqueue(5),
    "mail": tasks.add.using(queue_name="mail").enqueue(7),
    "async": asyncio.run(tasks.add.aenqueue(9)),
}
first = {name: str(one.status) for name, one in asked.items()}
until = time.monotonic() + 40
while not all(one.is_finished for one in asked.values()) and time.monotonic() < until:
    time.sleep(0.1)
    for one in asked.values():
        one.refresh()
def told(one):
    value = one.return_value if one.status == "SUCCESSFUL" else None
    errors = [[error.exception_class.__name__, error.traceback.splitlines()[-1]] for error in one.errors]
    times = [one.enqueued_at, one.started_at, one.last_attempted_at, one.finished_at]
    return [str(one.status.value), value, one.attempts, errors, all(times) and sorted(times) == times]
def refused(call):
    try:
        call()
    except Exception as error:
        return type(error).__name__.removesuffix("Error")
wrong = [
    refused(lambda: tasks.add.enqueue(1, 2, 3)),
    refused(lambda: tasks.add.using(priority=5)),
    refused(lambda: tasks.add.using(queue_name="nope")),
    refused(lambda: tasks.add.get_result("nope")),
    refused(lambda: tasks.pair.get_result(asked["add"].id)),
]
print(json.dumps({"first": first, "told": {name: told(one) for name, one in asked.items()}, "wrong": wrong}))
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    if find_spec("django.tasks") is None and find_spec("django_tasks") is None:
        roots.absent("neither Django 6 nor django-tasks is installed")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    (tmp_path / "shop" / "tasks.py").write_text(TASKS)
    for name, text in {"site_settings.py": SETTINGS, "manage.py": MANAGE, "ask.py": ASK}.items():
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture
def environ(site: Path, redis_server: RedisServer) -> dict[str, str]:
    return {**os.environ, "DJANGO_SETTINGS_MODULE": "site_settings", "REDIS_URL": redis_server.url}


@pytest.fixture
def worker(site: Path, environ: dict[str, str], redis: Any) -> Iterator[None]:
    words = [sys.executable, "manage.py", "kiqdoctor_work", "-q", "default", "-q", "mail"]
    with (site / "log").open("wb") as log:
        process = subprocess.Popen(words, cwd=site, stdout=log, stderr=log, env=environ)
    try:
        eventually(lambda: redis.scard("processes"), "the worker")
        yield
    finally:
        process.terminate()
        process.wait(120)


@pytest.mark.usefixtures("worker")
def test_tasks_run_as_jobs_and_tell_what_django_promises(site: Path, environ: dict[str, str], redis: Any) -> None:
    ran = subprocess.run(
        [sys.executable, "ask.py"], cwd=site, env=environ, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)

    assert set(found["first"].values()) == {"READY"}
    assert found["told"] == {
        "add": ["SUCCESSFUL", 3, 1, [], True],
        "second": ["SUCCESSFUL", [2, "x"], 2, [["ValueError", "ValueError: at first"]], True],
        "pair": ["SUCCESSFUL", [[1, 2], 3], 1, [], True],
        "fail": ["FAILED", None, 1, [["KeyError", "KeyError: 'password=***"]], True],
        "later": ["SUCCESSFUL", 6, 1, [], True],
        "mail": ["SUCCESSFUL", 8, 1, [], True],
        "async": ["SUCCESSFUL", 10, 1, [], True],
    }
    assert found["wrong"] == ["Type", "InvalidTask", "InvalidTask", "TaskResultDoesNotExist", "TaskResultMismatch"]
    heard = [word.decode() for word in redis.lrange("finished", 0, -1)]
    assert sorted(heard) == sorted(["add SUCCESSFUL"] * 4 + ["second SUCCESSFUL", "pair SUCCESSFUL", "fail FAILED"])


def test_a_result_of_a_task_that_nobody_has_is_none(site: Path, environ: dict[str, str], redis: Any) -> None:
    """Whatever stands in Redis: no module is imported because of it."""
    redis.hset("kiq:status:evil", mapping={"state": "done", "version": 1, "at": 1, "task": '{"job_class":"os.system"}'})
    redis.hset("kiq:status:odd", mapping={"state": "done", "version": 1, "at": 1, "task": "[1"})
    code = """
import django
django.setup()
from shop import tasks
for jid in ("evil", "odd"):
    try:
        tasks.add.get_result(jid)
    except Exception as error:
        print(type(error).__name__)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=site, env=environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.split() == ["TaskResultDoesNotExist"] * 2
