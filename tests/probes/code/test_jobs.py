"""Jobs, in Python and in Ruby, what they lead to, and files that are made to hurt."""

from pathlib import Path

import pytest
from source import application, read

from kiqdoctor.doctor.facts.code import Code, Enqueues, Function, Place, Site
from kiqdoctor.doctor.probe import AbsenceError, RefusalError
from kiqdoctor.probes.code.code import code
from kiqdoctor.probes.tree.tree import Tree

HEAD = "from kiqdoctor import job\n"


def index(root: Path, **written: str | bytes) -> Code:
    return read(application(root, **written), Code)


def chains(found: Code) -> dict[str, tuple[str, ...]]:
    """Each function that a job leads to, with the way."""
    return {one.name: found.chain(Site(number, 1, 1)) for number, one in enumerate(found.functions[: found.reached])}


@pytest.mark.parametrize(
    ("text", "library"),
    [
        ("from kiqdoctor import job\n@job\ndef f(): pass\n", "kiqdoctor"),
        ("from kiqdoctor import job as background\n@background(queue='x')\ndef f(): pass\n", "kiqdoctor"),
        ("import kiqdoctor as kd\n@kd.job\ndef f(): pass\n", "kiqdoctor"),
        ("from celery import shared_task\n@shared_task\ndef f(): pass\n", "celery"),
        ("from celery import Celery\napp = Celery()\n@app.task(bind=True)\ndef f(self): pass\n", "celery"),
        ("from elsewhere import app\n@app.task\ndef f(): pass\n", ""),
        ("from celery import Task\nclass f(Task):\n  def run(self): pass\n", "celery"),
        ("import celery\nclass B(celery.Task): pass\nclass f(B):\n  def run(self): pass\n", "celery"),
        ("import dramatiq\n@dramatiq.actor\ndef f(): pass\n", "dramatiq"),
        ("from rq.decorators import job\n@job('default')\ndef f(): pass\n", "rq"),
        ("from rq import Queue\nq = Queue()\ndef f(): pass\ndef web(): q.enqueue(f, 1)\n", "rq"),
        ("import django_rq\ndef f(): pass\ndef web(): django_rq.get_queue().enqueue_in(5, f)\n", "rq"),
        ("from huey import RedisHuey\nhuey = RedisHuey()\n@huey.task()\ndef f(): pass\n", "huey"),
        ("from huey.contrib import djhuey as huey\n@huey.db_task()\ndef f(): pass\n", "huey"),
        ("from taskiq_redis import ListQueueBroker\nb = ListQueueBroker()\n@b.task\nasync def f(): pass\n", "taskiq"),
        ("from arq import cron\nasync def f(ctx): pass\nclass W:\n  functions = [f]\n", "arq"),
        ("from arq import cron\nasync def f(ctx): pass\nclass W:\n  cron_jobs = [cron(f, hour=1)]\n", "arq"),
        ("from saq import Queue\nasync def f(ctx): pass\nsettings = {'functions': [f]}\n", "saq"),
        ("from django_q.tasks import async_task\ndef f(): pass\ndef web(): async_task(f)\n", "django_q"),
        ("from django_q.tasks import schedule\ndef f(): pass\ndef web(): schedule('shop.f')\n", "django_q"),
        ("import dramatiq\ndef f(): pass\nx = dramatiq.actor(f, queue_name='x')\n", "dramatiq"),
        ("from huey import Huey\nh = Huey()\ndef f(): pass\nx = h.task()(f)\n", "huey"),
        (
            (
                "from celery import Celery\nfrom celery import Task\nclass f(Task):\n  def run(self): pass\n"
                "Celery().register_task(f())\n"
            ),
            "celery",
        ),
        ("import rq\ndef f(): pass\ndef web(): rq.Queue().enqueue('shop.f')\n", "rq"),
        ("from rq_scheduler import Scheduler\ndef f(): pass\nScheduler().cron('* * * * *', func=f)\n", "rq"),
        ("from rq_scheduler import Scheduler\ndef f(): pass\njobs = [{'func': f, 'interval': 5}]\n", "rq"),
        (
            "import functools\nimport rq\nq = rq.Queue()\ndef f(): pass\ndef w(): functools.partial(q.enqueue, f)\n",
            "rq",
        ),
        ("import rq\nclass Q(rq.Queue): pass\ndef f(): pass\ndef web(): Q().enqueue(f)\n", "rq"),
        ("import rq\ndef put(g, *a): rq.Queue().enqueue(g, *a)\ndef f(): pass\ndef web(): put(f)\n", "rq"),
        (
            (
                "import rq\nclass J:\n  @classmethod\n  def put(cls, a, g): rq.Queue().enqueue(g)\n"
                "def f(): pass\ndef web(): J.put(1, f)\n"
            ),
            "rq",
        ),
        (
            "import rq\ndef queue() -> rq.Queue: return rq.Queue()\ndef f(): pass\ndef w(): queue().enqueue_in(5, f)\n",
            "rq",
        ),
        (
            (
                "import rq\nclass P:\n  def __init__(self, func): self.func = func\n"
                "  def put(self): rq.Queue().enqueue(func=self.func)\n"
                "class D(P):\n  def __init__(self): super().__init__(func='shop.f')\ndef f(): pass\n"
            ),
            "rq",
        ),
        ("from rq.job import Job\ndef put(g): Job.create(func=g)\ndef f(): pass\ndef web(): put(g=f)\n", "rq"),
        (
            (
                "import rq\nimport threading\ndef put(g, n): rq.Queue().enqueue(g)\ndef f(): pass\n"
                "def web(): threading.Thread(target=put, args=(f, 1)).start()\n"
            ),
            "rq",
        ),
        (
            (
                "from apscheduler.schedulers.background import BackgroundScheduler\ns = BackgroundScheduler()\n"
                "def f(): pass\ns.add_job(f, 'interval', minutes=2)\n"
            ),
            "apscheduler",
        ),
        (
            (
                "from apscheduler.schedulers.blocking import BlockingScheduler\ns = BlockingScheduler()\n"
                "@s.scheduled_job('interval', minutes=2)\ndef f(): pass\n"
            ),
            "apscheduler",
        ),
        (
            (
                "from apscheduler.schedulers.background import BackgroundScheduler\nclass S:\n"
                "  def __init__(self): self.s = BackgroundScheduler()\n"
                "  def add_job(self, j): self.s.add_job(j, 'date')\n"
                "s = S()\ndef f(): pass\ndef web(): s.add_job(lambda: f())\n"
            ),
            "apscheduler",
        ),
        (
            (
                "from apscheduler.job import Job\nfrom elsewhere import sync_to_async\nimport state\ndef f(): pass\n"
                "async def web(): await sync_to_async(state.scheduler.add_job)(f, 'interval')\n"
            ),
            "apscheduler",
        ),
        (
            "import anyio\nimport rq\nq = rq.Queue()\ndef f(): pass\ndef w(): anyio.to_thread.run_sync(q.enqueue, f)\n",
            "rq",
        ),
        (
            "import rq\nq = rq.Queue()\ndef f(): pass\ndef w(loop): loop.run_in_executor(None, q.enqueue, f, 1)\n",
            "rq",
        ),
        (
            (
                "from apscheduler.job import Job\nscheduler = None\ndef start(made):\n  global scheduler\n"
                "  scheduler = made\ndef f(): pass\ndef web(): scheduler.add_job(f)\n"
            ),
            "apscheduler",
        ),
        (
            (
                "from apscheduler.schedulers.background import BackgroundScheduler as B\nclass S:\n"
                "  def __new__(cls):\n    cls.s = B()\n  def put(self, func): self.s.add_job(func=func)\n"
                "def f(): pass\ndef web(): S().put(f)\n"
            ),
            "apscheduler",
        ),
        (
            (
                "from apscheduler.schedulers.background import BackgroundScheduler\ns = BackgroundScheduler()\n"
                "def f(): pass\ndef start():\n  table = dict({})\n  table[f] = 5\n"
                "  for func, every in table.items(): s.add_job(func, 'interval', seconds=every)\n"
            ),
            "apscheduler",
        ),
        (
            "import rq\nq = rq.Queue()\ndef f(): pass\ndef start():\n  for g, n in [(f, 1)]: q.enqueue(g, n)\n",
            "rq",
        ),
        (
            (
                "import rq\nclass Info:\n  def __init__(self, func, *args): self.func = func\n"
                "def put(job: Info): rq.Queue().enqueue(job.func)\ndef f(): pass\ndef web(): put(Info(f, 1))\n"
            ),
            "rq",
        ),
        (
            (
                "import rq\nfrom dataclasses import dataclass\n@dataclass\nclass Info:\n  name: str\n  func: object\n"
                "def put(job: Info): return rq.Queue.prepare_data(job.func)\n"
                "def f(): pass\ndef web(): put(Info('x', f))\n"
            ),
            "rq",
        ),
        ("import frappe\ndef f(): pass\ndef web(): frappe.enqueue('shop.f', queue='long')\n", "rq"),
        ("import frappe\ndef f(): pass\ndef web(): frappe.enqueue(method=f, queue='long')\n", "rq"),
        (
            "from dispatcherd.publish import submit_task\ndef f(): pass\ndef web(): submit_task(f, queue='x')\n",
            "dispatcherd",
        ),
        ("from dispatcherd.publish import task\n@task(queue='x')\ndef f(): pass\n", "dispatcherd"),
        (
            (
                "from shop_procrastinate.tasks import task\nimport functools\ndef own(**words):\n  def wrap(func):\n"
                "    def inner(*a): return func(*a)\n    made = functools.update_wrapper(inner, func)\n"
                "    return task(**words)(made)\n  return wrap\n@own(retry=1)\ndef f(): pass\n"
            ),
            "procrastinate",
        ),
        (
            "from django_q.models import Schedule\ndef f(): pass\ndef m(): Schedule.objects.create(func='shop.f')\n",
            "django_q",
        ),
        (
            (
                "import django_q\ndef f(): pass\ndef forwards(apps, s):\n  S = apps.get_model('django_q', 'Schedule')\n"
                "  S.objects.get_or_create(name='x', defaults={'func': 'shop.f'}, schedule_type='D')\n"
            ),
            "django_q",
        ),
        (
            (
                "from django_q.models import Schedule\ndef f(): pass\nJOBS = [{'name': 'x', 'func': 'shop.f'}]\n"
                "def web():\n  for one in JOBS: Schedule.objects.update_or_create(defaults={'func': one['func']})\n"
            ),
            "django_q",
        ),
        (
            (
                "import arq\nALL = []\nasync def f(ctx): pass\nALL.append(f)\nclass WorkerSettings:\n"
                "  functions: list = [*ALL]\n"
            ),
            "arq",
        ),
        (
            (
                "import arq\nNAMES = []\nNAMES += [('shop.f', 'queue')]\nasync def f(ctx): pass\n"
                "class WorkerSettings:\n  functions = [load(one) for one, _ in NAMES]\n"
            ),
            "arq",
        ),
        ("from django_huey import db_task\n@db_task(queue='x')\ndef f(): pass\n", "huey"),
        ("from saq import Queue, Worker\nasync def f(ctx): pass\nw = Worker(Queue(), functions=[f])\n", "saq"),
        (
            (
                "from litestar_saq import QueueConfig, CronJob\nasync def f(ctx): pass\n"
                "c = QueueConfig(name='q', scheduled_tasks=[CronJob(function=f, cron='* * * * *')])\n"
            ),
            "saq",
        ),
        ("import dramatiq\nclass f:\n  def __call__(self): pass\nx = dramatiq.actor(f(), max_retries=1)\n", "dramatiq"),
        (
            (
                "import celery\ndef register_jobs(*all): pass\nclass B: pass\nclass f(B):\n  def run(self): pass\n"
                "every = [f]\nregister_jobs(*every)\n"
            ),
            "celery",
        ),
    ],
)
def test_python_jobs(tmp_path: Path, text: str, library: str) -> None:
    assert [(one.name, one.library) for one in index(tmp_path, shop_DOT_py=text).jobs] == [("shop.f", library)]


OWN = {
    "a class": """
class task:
  def __init__(self, **k): self.k = k
  def __call__(self, g):
    def inner(*a): g(*a)
    return H.task(**self.k)(inner)
""",
    "around a library's": """
def task(**k):
  def deco(g):
    def inner(*a): g(*a)
    return H.task(**k)(inner)
  return deco
""",
    "within one": """
def task(**k):
  def deco(g):
    @H.task(**k)
    def inner(*a): g(*a)
    return inner
  return deco
""",
    "with options": "def task(**k): return H.task(retries=3, **k)\n",
    "with whatever it is given": "def any_(*a, **k): return H.task(*a, **k)\ndef task(): return any_(retries=3)\n",
    "a partial": "from functools import partial\ntask = partial(H.task, retries=3)\n",
    "another name": "task = H.task\n",
    "around one's own": """
def first(g): return H.task()(g)
def task():
  def deco(g): return first(g)
  return deco
""",
}


@pytest.mark.parametrize("own", OWN.values(), ids=OWN)
@pytest.mark.parametrize("imported", ["from own import task\n", "from own import *\n", "import own\ntask = own.task\n"])
def test_decorators_of_the_application(tmp_path: Path, own: str, imported: str) -> None:
    found = index(
        tmp_path,
        own_DOT_py=f"from huey import Huey\nH = Huey()\n{own}",
        shop_DOT_py=imported + "@task()\ndef f(): pass\n",
    )

    assert [(one.name, one.library) for one in found.jobs] == [("shop.f", "huey")]


def test_what_frappe_s_hooks_and_documents_name(tmp_path: Path) -> None:
    document = (
        "import frappe\nclass BuildRun(Document):\n"
        "  def after_insert(self): frappe.enqueue_doc(self.doctype, self.name, 'build', queue='long')\n"
        "  def build(self): pass\n  def other(self): pass\n"
    )
    found = index(
        tmp_path,
        desk__build_run__build_run_DOT_py=document,
        desk__hooks_DOT_py="scheduler_events = {'cron': {'* * * * *': ['desk.mail.tidy']}, 'daily': ['x.no']}\n",
        desk__mail_DOT_py="import frappe\ndef tidy(): frappe.enqueue_doc('Build Run', 'x', 'other')\n",
    )

    assert {one.name.rpartition(".")[2] for one in found.jobs} == {"build", "other", "tidy"}


def test_a_job_runs_the_functions_that_it_is_handed(tmp_path: Path) -> None:
    text = (
        "import rq\ndef locked(f, *a): f(*a)\ndef chat(): pass\ndef web(): rq.Queue().enqueue(locked, args=(chat, 1))\n"
    )

    assert "shop.chat" in chains(index(tmp_path, shop_DOT_py=text))


def test_two_programs_side_by_side_have_a_root_each(tmp_path: Path) -> None:
    asks = "from core.a import x\nfrom core.b import y\nfrom web.jobs import f\n"
    text = f"from rq import Queue\n{asks}def g(): Queue().enqueue(f)\n"
    found = index(
        tmp_path,
        core__a_DOT_py="from core.b import y\nx = 1\n",
        core__b_DOT_py="y = 1\n",
        service__web__app_DOT_py=text,
        service__web__jobs_DOT_py="from core.a import x\ndef f(): pass\n",
    )

    assert [one.name for one in found.jobs] == ["web.jobs.f"]


def test_all_that_a_name_s_beginning_may_be(tmp_path: Path) -> None:
    text = "import rq\nimport chats\ndef web(to):\n  send = getattr(chats, f'send_{to}')\n  rq.Queue().enqueue(send)\n"

    found = index(
        tmp_path, shop_DOT_py=text, chats_DOT_py="def send_a(): pass\ndef send_b(): pass\ndef other(): pass\n"
    )

    assert {one.name for one in found.jobs} == {"chats.send_a", "chats.send_b"}


def test_what_runs_after_a_job_is_run_by_the_worker_too(tmp_path: Path) -> None:
    text = "import rq\ndef f(): pass\ndef bad(job, c, *e): pass\ndef web(): rq.Queue().enqueue(f, on_failure=bad)\n"

    assert {one.name for one in index(tmp_path, shop_DOT_py=text).jobs} == {"shop.f", "shop.bad"}


def test_a_subclass_of_a_librarys_decorator(tmp_path: Path) -> None:
    own = (
        "from functools import partial\nfrom rq.decorators import job as rq_job\n"
        "class Counting(rq_job): pass\njob = partial(Counting, timeout=3)\n"
    )
    found = index(tmp_path, own_DOT_py=own, shop_DOT_py="from own import job\n@job('mail')\ndef f(): pass\n")

    assert [(one.name, one.library, one.queue) for one in found.jobs] == [("shop.f", "rq", "mail")]


def test_a_base_of_the_applications_own(tmp_path: Path) -> None:
    base = (
        "import django_rq\nfrom functools import partial\nclass Runner:\n"
        "  @classmethod\n  def handle(cls, job): cls().run()\n"
        "  @classmethod\n  def enqueue(cls): return Job.enqueue(cls.handle)\n"
        "class Job:\n  @classmethod\n  def enqueue(cls, func, name=''):\n    queue = django_rq.get_queue()\n"
        "    partial(queue.enqueue, func)()\n"
    )
    shop = (
        "from base import Runner\nclass Sync(Runner):\n  def run(self): helper()\n"
        "def helper(): pass\nclass Other:\n  def run(self): pass\n"
    )
    found = index(tmp_path, base_DOT_py=base, shop_DOT_py=shop)

    assert {one.name for one in found.jobs} == {"base.Runner.handle", "shop.Sync"}
    assert "shop.helper" in chains(found)


def test_any_of_the_applications_tasks(tmp_path: Path) -> None:
    base = "import abc\nclass Task:\n  @abc.abstractmethod\n  def run(self): ...\n"
    web = "import rq\nfrom own import every\ndef put(name):\n  one = every[name]\n  rq.Queue().enqueue(one.run)\n"
    shop = "from base import Task\nclass Clean(Task):\n  def run(self): return 1\nclass Other:\n  def run(self): pass\n"
    found = index(tmp_path, base_DOT_py=base, web_DOT_py=web, shop_DOT_py=shop, own_DOT_py="every = {}\n")

    assert [one.name for one in found.jobs] == ["shop.Clean.run"]


def test_a_package_that_exports_what_is_called_as_its_module(tmp_path: Path) -> None:
    clean = "import dramatiq\nclass Clean:\n  def __call__(self): pass\nclean = dramatiq.actor(Clean())\n"
    web = "from tasks import clean\ndef web(): clean.send()\n"
    tree = application(tmp_path, tasks__clean_DOT_py=clean, web_DOT_py=web)
    (tmp_path / "tasks" / "__init__.py").write_text("from tasks.clean import clean\n")

    assert [one.name for one in read(tree, Code).jobs] == ["tasks.clean.Clean"]
    assert [one.job for one in read(tree, Enqueues).sites] == ["tasks.clean.Clean"]


def test_a_register_of_views_holds_no_jobs(tmp_path: Path) -> None:
    text = "import celery\nclass R:\n  def register(self, v): pass\nclass B: pass\n"
    found = index(tmp_path, shop_DOT_py=text + "class V(B):\n  def run(self): pass\nR().register(V)\n")

    assert not found.jobs


def test_modules_are_called_as_they_are_imported(tmp_path: Path) -> None:
    found = index(
        tmp_path,
        web__manage_DOT_py="import shop.jobs\n",
        web__shop____init___DOT_py="",
        web__shop__jobs_DOT_py=HEAD + "from shop.tool import go\n@job\ndef f(): go()\n",
        web__shop__tool_DOT_py="def go(): pass\n",
    )

    assert [one.name for one in found.jobs] == ["shop.jobs.f"]
    assert chains(found)["shop.tool.go"] == ("shop.jobs.f", "shop.tool.go")


@pytest.mark.parametrize(
    "text",
    [
        "def job(f): return f\n@job\ndef f(): pass\n",
        "# @job\ndef f(): pass\n",
        "class Task: pass\nclass f(Task):\n  def run(self): pass\n",
        "import rq\nclass Q:\n  def enqueue(self, f): pass\nq = Q()\ndef f(): pass\ndef web(): q.enqueue(f)\n",
        "def f(): pass\ndef web(loop): loop.enqueue(f)\n",
        "import celery\ndef task(g): return g\n@task\ndef f(): pass\n",
        "import celery\ndef task(g):\n  print(g)\n  return g\n@task\ndef f(): pass\n",
        "import rq\njobs = {'name': 'f'}\ndef f(): pass\n",
        "class W:\n  functions = [f]\ndef f(): pass\n",
    ],
)
def test_what_only_looks_like_a_job(tmp_path: Path, text: str) -> None:
    assert index(tmp_path, shop_DOT_py=text).jobs == ()


CALLED = {
    "a function": "def g(): pass\n@job\ndef f(): g()\n",
    "a function that is handed on": "def g(): pass\n@job\ndef f(): map(g, [])\n",
    "a method": "class g:\n  def go(self): pass\n@job\ndef f(): g().go()\n",
    "an inherited method": "class B:\n  def go(self): pass\nclass g(B): pass\n@job\ndef f(): g().go()\n",
    "a method of a global": "class g:\n  def go(self): pass\nx = g()\n@job\ndef f(): x.go()\n",
    "a constructor": "class g:\n  def __init__(self): pass\n@job\ndef f(): g()\n",
    "a nested function": "@job\ndef f():\n  def g(): pass\n  g()\n",
    "a decorated nested function": "@job\ndef f():\n  @elsewhere\n  def g(): pass\n",
    "a method of a nested class": "@job\ndef f():\n  class g:\n    def run(self): pass\n",
}
NOT_CALLED = {
    "a factory of a global": "def g(): pass\nx = g()\n@job\ndef f(): x.go()\n",
    "a default": "def g(): pass\n@job\ndef f(a=g()): pass\n",
    "a decorator": "def g(f): return f\n@job\n@g\ndef f(): pass\n",
    "an argument of a decorator": "def g(): pass\n@job(queue=g())\ndef f(): pass\n",
    "a name of its own": "def g(): pass\n@job\ndef f(g): g()\n",
    "what never runs": "def g(): pass\n@job\ndef f(): 'g()'\n",
}


@pytest.mark.parametrize("text", CALLED.values(), ids=CALLED)
def test_what_a_job_leads_to(tmp_path: Path, text: str) -> None:
    reached = chains(index(tmp_path, shop_DOT_py=HEAD + text))

    assert any("shop.f" in way and len(way) > 1 for way in reached.values())


@pytest.mark.parametrize("text", NOT_CALLED.values(), ids=NOT_CALLED)
def test_what_runs_elsewhere(tmp_path: Path, text: str) -> None:
    assert [*chains(index(tmp_path, shop_DOT_py=HEAD + text))] == ["shop.f"]


def test_a_chain_is_links_to_callers_and_the_shortest(tmp_path: Path) -> None:
    found = index(
        tmp_path, shop_DOT_py=HEAD + "def c(): a()\ndef b(): c()\ndef a(): b()\n@job\ndef f():\n  b()\n  a()\n"
    )

    assert chains(found) == {
        "shop.f": ("shop.f",),
        "shop.b": ("shop.f", "shop.b"),
        "shop.a": ("shop.f", "shop.a"),
        "shop.c": ("shop.f", "shop.b", "shop.c"),
    }


def test_a_chain_without_an_end_cannot_be_made() -> None:
    one, two = (Function(name, Place("a.py", 1), "python", caller) for name, caller in (("f", 1), ("g", 0)))

    with pytest.raises(ValueError, match="must stand before it"):
        Code((one, two), reached=2)


JOB = "class Resize\n  include Sidekiq::Job\n  def perform(id)\n    {body}\n  end\nend\n"


@pytest.mark.parametrize(
    ("text", "library"),
    [
        ("class J\n  include Sidekiq::Worker\n  def perform; end\nend\n", "sidekiq"),
        ("class J\n  include Sidekiq::IterableJob\n  def perform; end\nend\n", "sidekiq"),
        ("class Base\n  include Sidekiq::Job\nend\nclass J < Base\n  def perform; end\nend\n", "sidekiq"),
        ("module Work\n  include Sidekiq::Job\n  def perform; end\nend\nclass J\n  include Work\nend\n", "sidekiq"),
        ("class J < ApplicationJob\n  def perform; end\nend\n", "activejob"),
        ("module Shop\n  class J\n    include ::Sidekiq::Job\n    def perform; end\n  end\nend\n", "sidekiq"),
        (
            (
                "class Api::ApplicationJob < ApplicationJob\nend\n"
                "class Api::J < Api::ApplicationJob\n  def perform; end\nend\n"
            ),
            "activejob",
        ),
        (
            "class Api::Base\nend\nclass Base < ActiveJob::Base\nend\nclass Api::J < Base\n  def perform; end\nend\n",
            "activejob",
        ),
        ("class J < ActionMailer::MailDeliveryJob\n  def perform; end\nend\n", "activejob"),
        ("class J < Engine::ApplicationJob\n  def perform(x); end\nend\n", "activejob"),
        (
            "class ApplicationJob\n  include Sidekiq::Job\nend\nclass J < ApplicationJob\n  def perform; end\nend\n",
            "sidekiq",
        ),
        (
            "class ApplicationJob < ActiveJob::Base\nend\nclass J < ApplicationJob\n  def perform; end\nend\n",
            "activejob",
        ),
        (
            (
                "class Base\n  def self.inherited(base)\n    base.class_eval do\n"
                "      include Sidekiq::Worker\n    end\n  end\nend\nclass J < Base\n  def perform(x); end\nend\n"
            ),
            "sidekiq",
        ),
        (
            (
                "class Base\n  def self.inherited(one) = one.send(:include, Sidekiq::Worker)\nend\n"
                "class J < Base\n  def perform(x); end\nend\n"
            ),
            "sidekiq",
        ),
        (
            (
                "module Async\n  def self.included(base)\n    base.send :include, Sidekiq::Job\n  end\nend\n"
                "class J\n  include Async\n  def perform(x); end\nend\n"
            ),
            "sidekiq",
        ),
        ("class J < Packaged::BaseWorker\n  def perform(x); end\nend\n", "sidekiq"),
        ("class J\n  @queue = :low\n  def self.perform(x); end\nend\n", "resque"),
        ("class J\n  def self.queue = :low\n  def self.perform(x); end\nend\n", "resque"),
        ("class J\n  include Resque::Plugins::Status\n  def perform; end\nend\n", "resque"),
        (
            (
                "module Async\n  class_methods do\n    def perform(m, *a) = send(m, *a)\n  end\nend\n"
                "class J\n  include Async\n  @queue = :low\nend\n"
            ),
            "resque",
        ),
        ("class J\n  def self.perform(x); end\n  def later = Resque.enqueue(self.class, 1)\nend\n", "resque"),
        ("class J\n  def self.perform(x); end\nend\ndef web = Resque.enqueue_to(:low, J, 1)\n", "resque"),
        ("class J\n  def self.perform(x); end\nend\ndef web = Resque.enqueue_in(5, J, 1)\n", "resque"),
        (
            "class J < Struct.new(:id)\n  def perform; end\nend\ndef web = Delayed::Job.enqueue(J.new(1))\n",
            "delayed_job",
        ),
    ],
)
def test_ruby_jobs(tmp_path: Path, text: str, library: str) -> None:
    jobs = index(tmp_path, app_DOT_rb=text).jobs

    assert ("J", library) in [(one.name.rpartition("::")[2], one.library) for one in jobs]


DELAYED = "def web = Delayed::Job.enqueue(Other.new)\n"


@pytest.mark.parametrize(
    ("path", "text", "jobs"),
    [
        ("app/base.rb", "class Base\n  def perform; end\n  def go! = Delayed::Job.enqueue(self)\nend\n", ["Base"]),
        ("app/x.rb", DELAYED + "class MailJob\n  def perform; end\nend\n", ["MailJob"]),
        ("app/jobs/x.rb", DELAYED + "class Cleanup\n  def perform(a = 1); end\nend\n", ["Cleanup"]),
        ("app/jobs/x.rb", DELAYED + "class Cleanup\n  def perform(id); end\nend\n", []),
        ("app/x.rb", DELAYED + "class Search\n  def perform; end\nend\n", []),
        ("app/x.rb", "class MailJob\n  def perform; end\nend\n", []),
    ],
)
def test_delayed_job_asks_for_no_base_class(tmp_path: Path, path: str, text: str, jobs: list[str]) -> None:
    found = index(tmp_path, **{path.replace("/", "__").replace(".", "_DOT_"): text}).jobs

    assert [(one.name, one.library) for one in found] == [(name, "delayed_job") for name in jobs]


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("{% for one in models %}\nclass {{ one }}: pass\n{% endfor %}\n", False),
        ("from {{ cookiecutter.name }}.jobs import f\nf()\n", False),
        ("print 'old {{ name }}'\ntext = '{% if x %}'\n", True),
        ("def f(:\n", True),
    ],
    ids=["statements", "a name", "texts in a file of Python 2", "no template"],
)
def test_a_template_of_python_limits_nothing(tmp_path: Path, text: str, limits: bool) -> None:
    found = index(tmp_path, shop_DOT_py=HEAD + "@job\ndef f(): pass\n", template__x_DOT_py=text)

    assert [bool(found.unparsed), bool(found.aside)] == [limits, not limits]


REPORT = "class Report\n  def send_out; end\n  def self.build; end\n  {inside}\nend\n"


@pytest.mark.parametrize(
    ("inside", "outside", "job", "library"),
    [
        ("", "def web = Report.delay.build", "Report.build", "sidekiq"),
        ("", "def web = Report.delay_for(5).build", "Report.build", "sidekiq"),
        ("", "def web = Report.new.delay(queue: 'low').send_out", "Report#send_out", "sidekiq"),
        ("def later = delay.send_out", "", "Report#send_out", "sidekiq"),
        ("def self.later = self.delay_until(x).build", "", "Report.build", "sidekiq"),
        ("handle_asynchronously :send_out", "", "Report#send_out", "delayed_job"),
        ("def later = delay.send_out", DELAYED, "Report#send_out", "delayed_job"),
        ("", "Delayed::Worker.max_attempts = 4\ndef web = Report.delay.build", "Report.build", "delayed_job"),
        ("def self.delay = self", "def web = Report.delay.build", "", ""),
        ("", "def web(animation) = animation.delay.build", "", ""),
        ("", "def web = Report.build", "", ""),
    ],
)
def test_a_method_that_is_called_later(tmp_path: Path, inside: str, outside: str, job: str, library: str) -> None:
    found = index(tmp_path, app_DOT_rb=f"{REPORT.format(inside=inside)}{outside}\n")

    assert [(one.name, one.library) for one in found.jobs] == ([(job, library)] if job else [])
    assert not job or job in [one.name for one in found.functions[: found.reached]]


@pytest.mark.parametrize(
    ("path", "text", "limits"),
    [
        ("app/models/a.rb", b"class A\n  def\n", True),
        ("data/aa.rb", b"{ :aa => { :rule =>  } }\n", False),
        ("config/initializers/a.rb", b"X = { :rule =>  }\n", True),
        ("config/locales/plurals.rb", b"{ aa: { rule: ->(n) { } \n", False),
        ("db/seeds.rb", b"def a(\n", False),
        ("db/seeds/a.rb", b"# " + b"x" * 1_100_000, False),
        ("app/models/large.rb", b"# " + b"x" * 1_100_000, True),
        ("db/migrate/1_a.rb", b"class A\n  def\n", False),
        ("lib/generators/event_base.rb", b"class A\n  def\n", False),
        ("habitat/config/unicorn.rb", b"timeout {{ cfg.app.timeout }}\npreload_app {{ cfg.app.preload }}\n", False),
        ("habitat/config/unicorn.rb", b"timeout {{ cfg.app.timeout }}\ndef x = {{ cfg.x }}\n", True),
    ],
)
def test_what_holds_nothing_that_a_job_could_run_limits_nothing(
    tmp_path: Path, path: str, text: bytes, *, limits: bool
) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True)
    file.write_bytes(text)

    found = index(tmp_path, j_DOT_rb="class J\n  include Sidekiq::Job\n  def perform; end\nend\n")

    assert [bool(found.unparsed), bool(found.aside)] == [limits, not limits]
    assert ("1 file of data not parsed" in found.seen) is not limits


@pytest.mark.parametrize("text", ["class J\n  def perform; end\nend\n", "class J\n  include Sidekiq::Job\nend\n"])
def test_ruby_that_only_looks_like_a_job(tmp_path: Path, text: str) -> None:
    assert index(tmp_path, app_DOT_rb=text).jobs == ()


TOOL = (
    "class ImageTool\n  def run; end\n  def self.go; end\n  def self.call(x) = new(x).run\n  def initialize; end\nend\n"
)


@pytest.mark.parametrize(
    ("body", "reached"),
    [
        ("ImageTool.new(id).run", {"ImageTool#initialize", "ImageTool#run"}),
        ("ImageTool.go", {"ImageTool.go"}),
        ("ImageTool.call(id)", {"ImageTool.call", "ImageTool#initialize", "ImageTool#run"}),
        ("resize\n  end\n  def resize\n    ImageTool.go", {"Resize#resize", "ImageTool.go"}),
        ("help\n  end\n  include Helping\n  def x", {"Helping#help"}),
        ("ImageTool", set()),
        ("'ImageTool.go'", set()),
        ("# ImageTool.go", set()),
    ],
)
def test_what_perform_leads_to(tmp_path: Path, body: str, reached: set[str]) -> None:
    helping = "module Helping\n  def help; end\nend\n"
    found = index(tmp_path, job_DOT_rb=JOB.format(body=body), tool_DOT_rb=TOOL, helping_DOT_rb=helping)

    assert chains(found).keys() == {"Resize#perform"} | reached


@pytest.mark.parametrize(
    "content",
    [
        b"def f(:\n",
        b"\x00\x01",
        b"x = " + b"(" * 5000,
        b"# -*- coding: latin-1 -*-\nx = '\xe9'\n",
        b"\xff\xfe",
        b"x = 1\n" * 400_000,
        b"x" + b".y" * 20_000 + b"\n",
        b"q = q.filter()\n" * 20_000,
        b"x = " + b"f(" * 90 + b")" * 90 + b"\n",
        b"x = 1" + b" + 1" * 20_000 + b"\n",
        b"if a: pass\n" + b"elif a: pass\n" * 900,
        b"x = " + b"9" * 10_000 + b"\n",
        b"class A(B.C): pass\nclass B(A.D): pass\nx = x.y\ndef f(): A.E.g()\n",
        b"class A; end\n" + b"".join(b"class A%d < A%d; end\n" % (n + 1, n) for n in range(20_000)),
    ],
    ids=[
        *("syntax", "nulls", "deep", "latin-1", "not utf-8", "large", "long chain", "growing", "calls", "long sum"),
        *("many branches", "long number", "circles", "long line"),
    ],
)
def test_hostile_files_are_no_crash(tmp_path: Path, content: bytes) -> None:
    found = index(tmp_path, bad_DOT_py=content, bad_DOT_rb=content, good_DOT_py=HEAD + "@job\ndef f(): pass\n")

    assert [one.name for one in found.jobs] == ["good.f"]


def test_what_could_not_be_parsed_is_named(tmp_path: Path) -> None:
    found = index(tmp_path, bad_DOT_py="def f(:\n", worse_DOT_rb="class X\n  def\n", good_DOT_py="x = 1\n")

    assert {path for path, _ in found.unparsed} == {"bad.py", "worse.rb"}
    assert found.files == 2


def test_a_link_that_leads_to_itself(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)

    assert index(tmp_path, shop_DOT_py="x = 1\n").files == 1


def test_tests_are_no_jobs_and_nothing_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(AbsenceError):
        code.read(Tree(tmp_path))
    with pytest.raises(AbsenceError):
        code.read(application(tmp_path, tests__test_jobs_DOT_py=HEAD + "@job\ndef f(): pass\n"))


def test_a_folder_that_cannot_be_read_is_not_empty(tmp_path: Path) -> None:
    with pytest.raises(RefusalError, match="could not be read"):
        code.read(Tree(tmp_path / "gone"))


def test_the_index_is_made_once_whoever_asks(tmp_path: Path) -> None:
    tree = application(tmp_path, shop_DOT_py="x = 1\n")

    assert code.read(tree) is code.read(tree)
    assert code.read(Tree(tmp_path)) is not code.read(tree)
