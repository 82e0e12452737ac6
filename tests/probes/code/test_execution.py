"""How jobs run: by commands, by settings, else as the library does; and which job that says it of."""

from pathlib import Path

import pytest
from trees import tree

from kiqdoctor.doctor.facts.code import Code, Execution, Function, Job, Model, Place, Site, Way
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.snapshot import Absent
from kiqdoctor.probes.code.code import code
from kiqdoctor.probes.code.execution import execution

CELERY = "from celery import Celery\napp = Celery()\n@app.task\ndef f(): pass\n"
RQ = "from rq import Queue\ndef f(): pass\ndef web(): Queue().enqueue(f)\n"
HUEY = "from huey import RedisHuey\nh = RedisHuey()\n@h.task()\ndef f(): pass\n"
DRAMATIQ = "import dramatiq\n@dramatiq.actor\ndef f(): pass\n"
NOTHING = Absent("no lock file")


def executed(root: Path, files: dict[str, str], packages: Packages | Absent = NOTHING) -> Execution:
    application = tree(root, files)
    found: Execution = execution.read(application, code.read(application), packages)
    return found


def models(found: Execution) -> list[tuple[str, str]]:
    return [(one.library, one.model.name) for one in found.ways]


@pytest.mark.parametrize(
    ("source", "library", "model"),
    [
        (CELERY, "celery", Model.PREFORK),
        (RQ, "rq", Model.FORK_PER_JOB),
        (HUEY, "huey", Model.THREADS),
        (DRAMATIQ, "dramatiq", Model.THREADS),
        ("from kiqdoctor import job\n@job\ndef f(): pass\n", "kiqdoctor", Model.THREADS),
        (
            "from taskiq import InMemoryBroker\nb = InMemoryBroker()\n@b.task\ndef f(): pass\n",
            "taskiq",
            Model.EVENT_LOOP,
        ),
        (
            "from flask_apscheduler import APScheduler\ns = APScheduler()\n@s.task('cron')\ndef f(): pass\n",
            "apscheduler",
            Model.THREADS,
        ),
    ],
)
def test_the_library_says_it_last(tmp_path: Path, source: str, library: str, model: Model) -> None:
    (way,) = executed(tmp_path, {"shop.py": source}).ways

    assert (way.library, way.model, way.place) == (library, model, None)


@pytest.mark.parametrize(
    ("source", "command", "model"),
    [
        (CELERY, "celery -A shop worker -P threads -c 8", Model.THREADS),
        (CELERY, "celery -A shop worker --pool=gevent", Model.GREENLETS),
        (CELERY, "celery -A shop worker --pool ${POOL:-solo}", Model.SOLO),
        (CELERY, "celery -A shop worker --pool $POOL", Model.UNKNOWN),
        (CELERY, "celery -A shop worker --pool shop.pools:Own", Model.UNKNOWN),
        (CELERY, "celery -A shop worker", Model.PREFORK),
        (RQ, "rq worker -w rq.SimpleWorker default", Model.SOLO),
        (RQ, "rq worker --worker-class shop.Quick default", Model.SOLO),
        (RQ, "rq worker --worker-class elsewhere.Own default", Model.UNKNOWN),
        (RQ, "python manage.py rqworker high", Model.FORK_PER_JOB),
        (HUEY, "huey_consumer.py shop.h -k process -w 4", Model.PREFORK),
        (HUEY, "python manage.py run_huey", Model.THREADS),
        (DRAMATIQ, "dramatiq-gevent shop", Model.GREENLETS),
    ],
)
def test_a_command_says_it_first(tmp_path: Path, source: str, command: str, model: Model) -> None:
    source = source.replace("rq import Queue", "rq import Queue, SimpleWorker\nclass Quick(SimpleWorker): pass")
    found = executed(tmp_path, {"shop.py": source, "Procfile": f"worker: {command}\n"})

    assert [(one.model, one.place) for one in found.ways] == [(model, Place("Procfile", 1))]


@pytest.mark.parametrize(
    ("setting", "model"),
    [
        ("app.conf.worker_pool = 'threads'\n", Model.THREADS),
        ("app.conf['worker_pool'] = 'solo'\n", Model.SOLO),
        ("app.conf.update(worker_pool='gevent')\n", Model.GREENLETS),
        ("app.conf.update({'worker_pool': 'threads'})\n", Model.THREADS),
        ("import os\nCELERY_WORKER_POOL = os.environ.get('POOL', 'threads')\n", Model.THREADS),
        ("import os\nCELERY_WORKER_POOL = os.environ['POOL']\n", Model.UNKNOWN),
        ("app.worker_main(['worker', '--pool=threads'])\n", Model.THREADS),
    ],
)
def test_a_setting_says_it_where_no_command_does(tmp_path: Path, setting: str, model: Model) -> None:
    found = executed(tmp_path, {"shop.py": CELERY + setting, "Procfile": "worker: celery -A shop worker\n"})

    assert [one.model for one in found.ways] == [model]
    beside = executed(tmp_path / "other", {"shop.py": CELERY + setting, "Procfile": "w: celery -A x worker -P solo\n"})
    assert [one.model for one in beside.ways] == [Model.SOLO]


def test_settings_of_trials_say_nothing(tmp_path: Path) -> None:
    files = {"shop.py": HUEY, "settings/base.py": "HUEY = {'consumer': {'worker_type': 'process'}}\n"}

    assert models(executed(tmp_path, files)) == [("huey", "PREFORK")]
    files["settings/dev.py"] = "HUEY = {'consumer': {'worker_type': 'greenlet'}}\n"
    assert models(executed(tmp_path, files)) == [("huey", "PREFORK")]
    files["settings/production.py"] = "HUEY = {'consumer': {'worker_type': 'thread'}}\n"
    assert models(executed(tmp_path, files)) == [("huey", "THREADS")]


def test_a_library_that_is_only_locked_has_its_way_and_one_for_tests_has_none(tmp_path: Path) -> None:
    locked = Packages(
        (Package("python", "rq", "2.0", "uv.lock"), Package("python", "huey", "2", "uv.lock", groups=("dev",)))
    )

    assert models(executed(tmp_path, {"shop.py": "x = 1\n"}, locked)) == [("rq", "FORK_PER_JOB")]


JOB = "class J < ApplicationJob\n  queue_as :mail\n  def perform; end\nend\n"


@pytest.mark.parametrize(
    ("setting", "model"),
    [
        ("config.active_job.queue_adapter = :sidekiq\n", Model.THREADS),
        ("config.active_job.queue_adapter = :resque\n", Model.FORK_PER_JOB),
        ("config.active_job.queue_adapter = :delayed_job\n", Model.SOLO),
        ("config.active_job.queue_adapter = ENV['ADAPTER']\n", Model.UNKNOWN),
        ("config.eager_load = true\n", Model.THREADS),
    ],
)
def test_active_job_runs_as_its_adapter_does(tmp_path: Path, setting: str, model: Model) -> None:
    found = executed(tmp_path, {"app/jobs/j.rb": JOB, "config/application.rb": setting})

    assert [(one.library, one.model) for one in found.ways] == [("activejob", model)]


@pytest.mark.parametrize(
    ("model", "shares"),
    [
        (Model.THREADS, True),
        (Model.GREENLETS, True),
        (Model.PREFORK, False),
        (Model.FORK_PER_JOB, False),
        (Model.SOLO, False),
        (Model.EVENT_LOOP, False),
        (Model.UNKNOWN, None),
    ],
)
def test_whether_jobs_share_a_process(model: Model, shares: bool | None) -> None:
    found = Execution((Way("celery", model, "a command", Place("Procfile", 3)),)).sharing(Job("f", 0, "celery"))

    assert (found.truth, found.proof, found.source) == (shares, f"celery: {model} (a command)", "Procfile:3")


def test_the_commands_of_an_application_below_the_root(tmp_path: Path) -> None:
    files = {"api/pyproject.toml": "", "api/shop.py": CELERY, "api/Procfile": "w: celery -A shop worker -P threads\n"}

    assert models(executed(tmp_path, files)) == [("celery", "THREADS")]


@pytest.mark.parametrize(
    ("files", "model"),
    [
        ({"Makefile": "run:\n\t@celery -A shop worker -P threads\n"}, "THREADS"),
        ({"circus.ini": "[watcher:w]\ncmd = celery -A shop worker --pool=gevent\n"}, "GREENLETS"),
        (
            {"w.nomad": 'config {\n  command = "celery"\n  args = ["-A", "shop", "worker", "-P", "threads"]\n}\n'},
            "THREADS",
        ),
        ({"Makefile": "run:\n\tcelery worker -P threads\n", "bin/w.sh": "celery worker -P prefork\n"}, "UNKNOWN"),
        ({"Makefile": "# celery -A shop worker -P threads\n"}, "PREFORK"),
        ({"dev/Makefile": "run:\n\tcelery -A shop worker -P threads\n"}, "PREFORK"),
        ({"chart/w.yaml": "kind: Deployment\nname: {{ x }}-w\nargs: [celery, worker, -P, threads]\n"}, "THREADS"),
        ({"chart/w.yaml": "kind: Deployment\nname: {{ x }}-w\ncommand: celery {{ y }}\n"}, "UNKNOWN"),
        ({"Procfile": "w: celery worker\n", "Makefile": "run:\n\tcelery worker -P threads\n"}, "PREFORK"),
    ],
)
def test_files_that_start_workers_and_are_no_deployment(tmp_path: Path, files: dict[str, str], model: str) -> None:
    assert models(executed(tmp_path, {"shop.py": CELERY, **files})) == [("celery", model)]


def test_a_job_runs_as_those_that_take_its_queue_do() -> None:
    found = Execution(
        (
            Way("celery", Model.PREFORK, "one"),
            Way("celery", Model.THREADS, "two", queues=("mail",)),
            Way("rq", Model.FORK_PER_JOB, "three"),
        )
    )

    assert [found.sharing(Job("f", 0, "celery", queue)).truth for queue in ("", "mail", "other")] == [
        False,
        True,
        False,
    ]
    assert found.sharing(Job("f", 0)).truth is None
    assert found.sharing(Job("f", 0, "huey")).truth is None
    assert [found.inherits(Job("f", 0, library)) for library in ("rq", "huey")] == [True, None]


def test_no_coroutine_of_taskiq_and_saq_runs_in_a_thread() -> None:
    found = Execution((Way("taskiq", Model.EVENT_LOOP, "itself"), Way("arq", Model.EVENT_LOOP, "itself")))
    jobs = [Job("f", 0, library, coroutine=coroutine) for library in ("taskiq", "arq") for coroutine in (False, True)]

    assert [found.sharing(job).truth for job in jobs] == [True, False, False, False]


def test_a_site_knows_the_job_that_leads_there() -> None:
    functions = (
        Function("f", Place("a.py", 1), "python"),
        Function("g", Place("a.py", 2), "python", caller=0),
        Function("h", Place("a.py", 3), "python"),
    )
    known = Code(functions, reached=2, jobs=(Job("shop.f", 0),))

    assert [known.job(Site(number, 1, 1)) for number in range(3)] == [known.jobs[0], known.jobs[0], None]


@pytest.mark.parametrize(
    ("settings", "queue"),
    [("MAIL_QUEUE = 'mail'\n", "mail"), ("import os\nMAIL_QUEUE = os.environ['Q']\n", ""), ("", "")],
    ids=["told", "not told", "nothing"],
)
def test_a_queue_that_a_setting_names(tmp_path: Path, settings: str, queue: str) -> None:
    head = "from celery import shared_task\nfrom django.conf import settings\n"
    text = head + "@shared_task(queue=settings.MAIL_QUEUE)\ndef f(): pass\n"
    found = code.read(tree(tmp_path, {"shop.py": text, "site/settings.py": settings}))

    assert [one.queue for one in found.jobs] == [queue]


def test_a_queue_that_a_global_names(tmp_path: Path) -> None:
    text = "from celery import shared_task\nfrom names import MAIL\n@shared_task(queue=MAIL)\ndef f(): pass\n"
    found = code.read(tree(tmp_path, {"shop.py": text, "names.py": "MAIL = 'mail'\n"}))

    assert [one.queue for one in found.jobs] == ["mail"]


def test_queues_and_coroutines_are_read(tmp_path: Path) -> None:
    source = "from celery import shared_task\n@shared_task(queue='mail')\nasync def f(): pass\n"
    ruby = "class K\n  include Sidekiq::Job\n  sidekiq_options retry: 3, queue: 'low'\n  def perform; end\nend\n"
    found = code.read(tree(tmp_path, {"shop.py": source, "j.rb": JOB, "k.rb": ruby}))

    assert {(one.name, one.queue, one.coroutine) for one in found.jobs} == {
        ("shop.f", "mail", True),
        ("J", "mail", False),
        ("K", "low", False),
    }


@pytest.mark.parametrize(
    ("room", "kind", "model"),
    [("background", "BackgroundScheduler", Model.THREADS), ("asyncio", "AsyncIOScheduler", Model.EVENT_LOOP)],
)
def test_a_scheduler_s_class_says_it(tmp_path: Path, room: str, kind: str, model: Model) -> None:
    source = f"from apscheduler.schedulers.{room} import {kind}\ns = {kind}()\ndef f(): pass\ns.add_job(f, 'date')\n"

    assert models(executed(tmp_path, {"shop.py": source})) == [("apscheduler", model.name)]
