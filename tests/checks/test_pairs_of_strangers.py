"""Whole trees, a fault and its twin one fact apart, of what applications that nobody had met showed."""

from pathlib import Path

import pytest
from judging import read

from kiqdoctor.doctor import Location

LOCK = "GEM\n  remote: https://rubygems.org/\n  specs:\n    sidekiq ({})\n\nDEPENDENCIES\n  sidekiq\n"
RAILS = {
    "Gemfile.lock": LOCK.format("7.3.2"),
    "app/jobs/hard_job.rb": "class HardJob\n  include Sidekiq::Job\n  def perform(id)\n    puts id\n  end\nend\n",
}
CELERY = {
    "requirements.txt": "celery==5.4.0\ndjango==5.0\nredis==5.0.0\n",
    "Procfile": "worker: celery -A shop worker\n",
    "shop/tasks.py": "from celery import shared_task\n@shared_task\ndef mail(pk):\n    print(pk)\n",
}
URLS = "from django.conf import settings\nfrom shop.tasks import mail\nif not settings.{}:\n    mail.delay(1)\n"
PRELOADING = CELERY | {
    "requirements.txt": "celery==5.4.0\ngunicorn==23.0.0\nredis==5.0.0\n",
    "Procfile": "web: gunicorn --preload -w 4 shop.wsgi\nworker: celery -A shop worker\n",
    "shop/wsgi.py": "import shop.tasks\napplication = None\n",
}
ASKS = "import redis\nclient = redis.Redis().from_url('redis://h')\nclient.delete('lock')\n"
CHANNELS = CELERY | {"requirements.txt": "celery==5.4.0\ngrpcio==1.60.0\n"}
CHANNEL = "import grpc\nclass Client:\n    def __init__(self):\n        self.channel = grpc.insecure_channel('h')\n{}"
NEXTCLOUD = """import requests
from django_q.tasks import AsyncTask, Chain
def fetch(u):
    requests.get(u{})
def start(u):
    {}
"""
SCHEDULER = """from rq import Queue
class Hands:
    def enqueue(self, queue, function, *args):
        return Queue(queue).enqueue(function, *args)
def later(function, arguments=None):
    Hands().enqueue(queue='q', function=function)
"""
RINGS = "from app.scheduling import later\nfrom app.tasks import fetch\nlater(function=fetch, arguments=(1,))\n"
FETCHES = "import requests\ndef fetch():\n    requests.get('http://h'{})\n"
OWN = "from celery import shared_task\ndef worker_task(*args, **kwargs):\n    return shared_task(*args, **kwargs)\n"
WITHIN = """import requests
from seam import worker_task
from shared.names import NAME
@worker_task(name=NAME)
def fetch(u):
    requests.get(u{})
"""
REPORTING = CELERY | {
    "requirements.txt": "celery==5.4.0\nsentry-sdk==2.50.0\n",
    "shop/settings.py": "import sentry_sdk\nsentry_sdk.init(dsn='x')\n",
}
READY = """import sys
from django.apps import AppConfig
from shop.tasks import mail
def skipped():
    return any(one in sys.argv for one in ({}))
class Shop(AppConfig):
    def ready(self):
        try:
            if skipped():
                return
        except ValueError:
            print(1)
        self.start()
    def start(self):
        mail.delay(1)
"""
WITHIN_READY = """import sys
from django.apps import AppConfig
from shop.tasks import mail
class Shop(AppConfig):
    def ready(self):
        words = {{{}}}
        if not any(one in sys.argv for one in words):
            mail.delay(1)
"""
STARTING = {
    "requirements.txt": "celery==5.4.0\nflask==3.0.0\nrequests==2.32.0\n",
    "Procfile": "worker: celery -A shop worker\n",
    "shop/web.py": "import requests\ndef view():\n    requests.get('http://h')\n",
}
STARTS = """from celery import shared_task
from werkzeug.routing import Rule
from shop.web import view
@shared_task
def start(app):
    {}
"""
INVOKED = """import invoke
import requests
from celery import Celery
app = Celery()
def task(function):
    made = {}.task(function)
    print(made)
    return made
@task
def fetch(c):
    requests.get('http://h')
"""
INITIALIZER = """url = ENV["{}"]
Sidekiq.configure_server {{ |config| config.redis = {{ url: url }} }}
Sidekiq.configure_client {{ |config| config.redis = {{ url: {} }} }}
"""
MANIFEST = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: w
spec:
  template:
    spec:
      containers:
        - name: w
          image: acme/shop:__TAG__
          args: ["bundle", "exec", "sidekiq", "-c", "10"]
          env:
            - name: POOL
              value: '{}'
"""
POOLS = RAILS | {"config/database.yml": "production:\n  adapter: postgresql\n  pool: <%= ENV.fetch('POOL', 4) %>\n"}
ADAPTED = {
    "Gemfile.lock": LOCK.format("7.3.2"),
    "config/application.rb": "config.active_job.queue_adapter = :sidekiq\n",
    "app/jobs/x_job.rb": "class XJob < ActiveJob::Base\n  def perform(id)\n    {}\n  end\nend\n",
}
HOOKS = """class Report
  def told
    payload = {{ report: self, status: 1 }}
    {}
  end
end
class ReportJob
  include Sidekiq::Job
  def perform(id)
    Report.new.told
  end
end
"""
ACTORS = {"requirements.txt": "dramatiq==1.17.0\n"}
COUNTS = """import threading
import dramatiq
import app.stats as st
guard = threading.Lock()
@dramatiq.actor
def count(n):
    {}
        st.total += n
"""
ENTERS = """import signal
import dramatiq
class Limit:
    def __enter__(self):
        {}
    def __exit__(self, *what):
        return None
@dramatiq.actor
def go(x):
    with Limit():
        print(x)
"""
OPTIONS = """import os
from subprocess import Popen
import dramatiq
@dramatiq.actor
def go(command):
    options = dict({})
    Popen(command, **options)
"""
SENDS = """import dramatiq, requests
@dramatiq.actor
def go(u):
    prepared = requests.Request('POST', u).prepare()
    with requests.Session() as session:
        session.send(prepared{})
"""
ORDERED = RAILS | {"app.json": '{"addons": [{"plan": "heroku-redis:mini"}]}'}
SIDEKIQ = "services:\n  worker:\n    image: acme/shop\n    command: bundle exec sidekiq -c 40\n"
HANDS = "from shop import kinds\nfrom shop.tasks import mail\ndef create(request):\n    mail.delay({})\n"
SHELL = "class XJob\n  include Sidekiq::Job\n  def perform(id)\n    {}\n  end\nend\n"
HANDLES = """Remote.go(id)
  rescue Exception => error
    handle(error)
  end
  def handle(error)
    puts error
    {}"""
POLLED = "class ReportsController\n  def show\n    stale?(last_modified: report.updated_at)\n  end\nend\n"


def fetching(call: str, timeout: str = "") -> dict[str, str]:
    return {"requirements.txt": "django-q2==1.7.0\n", "api/jobs.py": NEXTCLOUD.format(timeout, call)}


def scheduled(timeout: str) -> dict[str, str]:
    files = {"app/scheduling.py": SCHEDULER, "app/tasks.py": FETCHES.format(timeout), "app/start.py": RINGS}
    return {"requirements.txt": "rq==1.16.0\nrequests==2.32.0\n", **files}


def package(timeout: str) -> dict[str, str]:
    files = {"seam/__init__.py": OWN, "shared/__init__.py": "", "shared/names.py": "NAME = 'x'\n"}
    files |= {"__init__.py": "", "mail/__init__.py": "", "mail/tasks.py": WITHIN.format(timeout)}
    return {"requirements.txt": "celery==5.4.0\n"} | {f"workers/{path}": text for path, text in files.items()}


def two(first: str, second: str) -> dict[str, str]:
    files = {f"services/{name}/Gemfile.lock": LOCK.format("6.5.12") for name in ("lms", "cms")}
    files["services/lms/config/initializers/sidekiq.rb"] = INITIALIZER.format("ONE", first)
    return files | {"services/cms/config/initializers/sidekiq.rb": INITIALIZER.format("TWO", second)}


def sending(timeout: str) -> dict[str, str]:
    return ACTORS | {"app/j.py": SENDS.format(timeout)}


def counted(head: str) -> dict[str, str]:
    return ACTORS | {"app/stats.py": "total = 0\n", "app/j.py": COUNTS.format(head)}


def entered(line: str) -> dict[str, str]:
    return ACTORS | {"app/j.py": ENTERS.format(line)}


PAIRS = {
    "COD011, a condition that chooses a process": (
        "COD011",
        CELERY | {"shop/urls.py": URLS.format("DEBUG")},
        CELERY | {"shop/urls.py": URLS.format("WORKER_RUNNING")},
    ),
    "COD011, a function that asks how it was started": (
        "COD011",
        PRELOADING | {"shop/apps.py": READY.format("'migrate', 'test'")},
        PRELOADING | {"shop/apps.py": READY.format("'migrate', 'gunicorn'")},
    ),
    "COD011, words of a command line": (
        "COD011",
        PRELOADING | {"shop/apps.py": WITHIN_READY.format("'migrate'")},
        PRELOADING | {"shop/apps.py": WITHIN_READY.format("'migrate', 'celery'")},
    ),
    **{
        f"COD010, a function for requests: {kept}": (
            "COD010",
            STARTING | {"shop/tasks.py": STARTS.format(called)},
            STARTING | {"shop/tasks.py": STARTS.format(kept)},
        )
        for called, kept in (
            ("app.wrap('/', view)", "app.add_url_rule('/', view_func=view)"),
            ("app.wrap([print('/', view)])", "app.wrap([Rule('/', 'get', view)])"),
            ("app.wrap({'now': view})", "app.wrap({'before_request': view})"),
        )
    },
    "COD010, a decorator of another package": (
        "COD010",
        CELERY | {"shop/jobs.py": INVOKED.format("app")},
        CELERY | {"shop/jobs.py": INVOKED.format("invoke")},
    ),
    "PKG001, a pool that a setting chooses": (
        "PKG001",
        REPORTING
        | {"shop/celery.py": "from celery import Celery\napp = Celery('shop')\napp.conf.worker_pool = 'prefork'\n"},
        REPORTING
        | {"shop/celery.py": "from celery import Celery\napp = Celery('shop')\napp.conf.worker_pool = 'threads'\n"},
    ),
    "PKG001, a script that somebody runs by hand": (
        "PKG001",
        PRELOADING | {"shop/locks.py": ASKS, "shop/wsgi.py": "import shop.locks\napplication = None\n"},
        PRELOADING | {"shop/scripts/unlock.py": ASKS},
    ),
    "PKG001, an object that nobody makes at load": (
        "PKG001",
        CHANNELS | {"shop/flags.py": CHANNEL.format("CLIENT = Client()\n")},
        CHANNELS | {"shop/flags.py": CHANNEL.format("def client():\n    return Client()\n")},
    ),
    "COD010, django-q's AsyncTask": (
        "COD010",
        fetching("AsyncTask(fetch, u).run()"),
        fetching("AsyncTask(fetch, u).run()", ", timeout=3"),
    ),
    "COD010, a chain of django-q's": (
        "COD010",
        fetching("chain = Chain()\n    chain.append(fetch, u)\n    chain.run()"),
        fetching("chain = Chain()\n    chain.append(fetch, u)\n    chain.run()", ", timeout=3"),
    ),
    "COD010, a function that is handed on to RQ by its name": ("COD010", scheduled(""), scheduled(", timeout=3")),
    "COD010, a package that is a root": ("COD010", package(""), package(", timeout=3")),
    "NSP001, two applications in one repository": ("NSP001", two('ENV["OTHER"]', "url"), two("url", "url")),
    "NSP001, an address that may be empty": (
        "NSP001",
        RAILS | {"config/initializers/sidekiq.rb": INITIALIZER.format("A", 'ENV["B"].presence || "redis://h:1"')},
        RAILS | {"config/initializers/sidekiq.rb": INITIALIZER.format("A", 'ENV["A"].presence || "redis://h:1"')},
    ),
    "DBC001, a manifest that is a template": (
        "DBC001",
        POOLS | {"kubernetes/deployment-production.tmpl": MANIFEST.format(5)},
        POOLS | {"kubernetes/deployment-production.tmpl": MANIFEST.format(10)},
    ),
    "COD010, a request that was prepared": ("COD010", sending(""), sending(", timeout=5")),
    "SEC002, the name of something to do": (
        "SEC002",
        CELERY | {"shop/views.py": HANDS.format("kinds.api_secret")},
        CELERY | {"shop/views.py": HANDS.format("kinds.change_secret")},
    ),
    "COD002, another module's global": ("COD002", counted("if n:"), counted("with guard:")),
    "COD004, what a with statement enters": ("COD004", entered("signal.alarm(3)"), entered("print(3)")),
    "COD008, options that are spread": (
        "COD008",
        ACTORS | {"app/j.py": OPTIONS.format("preexec_fn=os.setsid")},
        ACTORS | {"app/j.py": OPTIONS.format("start_new_session=True")},
    ),
    "COD007, FileUtils.cd": (
        "COD007",
        RAILS | {"app/jobs/x_job.rb": SHELL.format("FileUtils.cd(id) { system('make') }")},
        RAILS | {"app/jobs/x_job.rb": SHELL.format("system('make', chdir: id)")},
    ),
    "COD009, a method that raises": (
        "COD009",
        RAILS | {"app/jobs/x_job.rb": SHELL.format(HANDLES.format("raise error if error.fatal?"))},
        RAILS | {"app/jobs/x_job.rb": SHELL.format(HANDLES.format("raise error"))},
    ),
    **{
        f"COD010, {name}": (
            "COD010",
            RAILS
            | {"app/jobs/x_job.rb": SHELL.format(f"{name}.get(id)"), "config/initializers/x.rb": f"{name}.{other}\n"},
            RAILS
            | {"app/jobs/x_job.rb": SHELL.format(f"{name}.get(id)"), "config/initializers/x.rb": f"{name}.{word}\n"},
        )
        for name, other, word in (
            ("HTTP", "headers(a: 1)", "default_options = HTTP::Options.new(timeout_options: { global_timeout: 5 })"),
            ("Typhoeus", "on_complete { |one| log(one) }", "before { |one| one.options[:timeout] ||= 10 }"),
        )
    },
    "COD013, a hash that is merged": (
        "COD013",
        RAILS
        | {
            "app/jobs/report_job.rb": HOOKS.format("report.update(status: 2)"),
            "app/controllers/reports_controller.rb": POLLED,
        },
        RAILS
        | {
            "app/jobs/report_job.rb": HOOKS.format("emit(payload.merge(status: 2))"),
            "app/controllers/reports_controller.rb": POLLED,
        },
    ),
}


@pytest.mark.parametrize(("check", "fault", "twin"), PAIRS.values(), ids=PAIRS)
def test_a_fault_and_its_twin(tmp_path: Path, check: str, fault: dict[str, str], twin: dict[str, str]) -> None:
    ill = read(check, tmp_path / "ill", fault)

    assert ill.outcome.value == "fail"
    assert {str(one.severity) for one in ill.findings} - {"info"}
    assert read(check, tmp_path / "well", twin).outcome.value in {"pass", "not-applicable"}


def compose(*lines: str) -> dict[str, str]:
    head = ("services:", "  redis:", "    image: redis:7", '    ports: ["6379:6379"]', "  worker:", "    build: ./app")
    return RAILS | {"docker-compose.yml": "\n".join((*head, *(f"    {one}" for one in lines))) + "\n"}


def built(how: str) -> dict[str, str]:
    return {path: one.replace("build: ./app", f"build: {how}") for path, one in compose("command: sidekiq").items()}


def commented(text: str) -> dict[str, str]:
    return {path: f"# {text}\n{one}" if "compose" in path else one for path, one in compose("command: sidekiq").items()}


LENIENT = "config/initializers/sidekiq.rb"
SWALLOWS = "begin\n      Remote.ask(id)\n    rescue Exception\n      nil\n    end"
SERVERS = 'services:\n  redis:\n    image: redis:7\n    ports: ["6379:6379"]\n  other:\n    image: {}\n'
SYMBOLS = "class Starts\n  def call\n    HardJob.perform_async({ id: 1 })\n  end\nend\n"
TRIES = """import dramatiq
from urllib.parse import urlparse
@dramatiq.actor
def go(x, answer):
    try:
        y = {}
    except:
        y = None
    print(y)
"""
DEVELOPED = POOLS | {
    "docker-compose.yml": "services:\n  worker:\n    build: .\n    command: bundle exec sidekiq -c 10\n{}"
}


def trying(what: str) -> dict[str, str]:
    return ACTORS | {"app/j.py": TRIES.format(what)}


GRAVE_AND_LOW = {
    "SEC001, the source mounted": ("SEC001", compose("command: sidekiq"), compose('volumes: ["./app:/srv"]')),
    "SEC001, servers alone": (
        "SEC001",
        RAILS | {"docker-compose.yml": SERVERS.format("acme/shop")},
        RAILS | {"docker-compose.yml": SERVERS.format("postgres:16")},
    ),
    "SEC001, reloading": ("SEC001", compose("command: sidekiq"), compose("command: uvicorn app:app --reload")),
    "DBC001, the source mounted": (
        "DBC001",
        {name: text.format("") for name, text in DEVELOPED.items()},
        {name: text.format("    volumes: ['.:/app']\n") for name, text in DEVELOPED.items()},
    ),
    "COD006, symbols that arrive as texts": (
        "COD006",
        RAILS | {"app/services/starts.rb": SYMBOLS},
        RAILS | {"app/services/starts.rb": SYMBOLS, "Gemfile.lock": LOCK.format("6.5.12")},
    ),
    "SEC001, a comment that sends it away": (
        "SEC001",
        compose("command: sidekiq"),
        commented("do not use in production"),
    ),
    "SEC001, a comment about somebody's own machine": (
        "SEC001",
        commented("production, and local development"),
        commented("so that you can develop locally"),
    ),
    "SEC001, a comment about development": (
        "SEC001",
        commented("for development and production purposes"),
        commented("NOTE: This image is for development purposes only."),
    ),
    "SEC001, Capistrano beside it": (
        "SEC001",
        compose("command: sidekiq"),
        compose("command: sidekiq") | {"Capfile": "require 'capistrano/setup'\n"},
    ),
    **{
        f"SEC001, {name}": (
            "SEC001",
            compose(f"command: sidekiq\n    {grave}"),
            compose(f"command: sidekiq\n    {mild}"),
        )
        for name, grave, mild in (
            ("the image's tag", "image: acme/dev:7", "image: acme/shop:dev"),
            ("an env file", "env_file: [.env, .env.production]", "env_file: [.env, docker/dev.env]"),
            (
                "a default",
                "environment: ['RAILS_ENV=${E:-production}']",
                "environment: ['RAILS_ENV=${E:-development}']",
            ),
            ("a folder of source", "volumes: ['./data:/srv/data']", "volumes: ['./app:/srv/app']"),
        )
    },
    "SEC001, a stage of the build": ("SEC001", built("{context: ., target: web}"), built("{context: ., target: dev}")),
    "SEC001, a Dockerfile": (
        "SEC001",
        built("{context: ., dockerfile: dev/Dockerfile.web}"),
        built("{context: ., dockerfile: Dockerfile.dev}"),
    ),
    "SEC001, what the build is told": (
        "SEC001",
        built("{context: ., args: {NODE: development}}"),
        built("{context: ., args: {RAILS_ENV: development}}"),
    ),
    "PRO010, a password for trials": (
        "PRO010",
        compose("command: bundle exec sidekiq", "environment: [DB_PASSWORD=s3cr3t]"),
        compose("command: bundle exec sidekiq", "environment: [DB_PASSWORD=developmentpassword]"),
    ),
    "COD006, arguments that are not checked": (
        "COD006",
        RAILS | {"app/services/starts.rb": SYMBOLS, LENIENT: "Sidekiq.strict_args!(false) if Rails.env.test?\n"},
        RAILS | {"app/services/starts.rb": SYMBOLS, LENIENT: "Sidekiq.strict_args!(false)\n"},
    ),
    "COD009, a worker that raises nothing": (
        "COD009",
        {name: text.format(SWALLOWS) for name, text in ADAPTED.items()},
        {name: text.format(SWALLOWS).replace(":sidekiq", ":good_job") for name, text in ADAPTED.items()},
    ),
    "COD009, an address": ("COD009", trying("x.fetch()"), trying("all([urlparse(x).scheme])")),
    "COD009, a version": ("COD009", trying("sum(map(go, x))"), trying("sum(map(int, x.split('.')))")),
    "COD009, an answer": ("COD009", trying("answer.get()"), trying("answer.json()")),
}


@pytest.mark.parametrize(("check", "grave", "mild"), GRAVE_AND_LOW.values(), ids=GRAVE_AND_LOW)
def test_what_makes_it_milder(tmp_path: Path, check: str, grave: dict[str, str], mild: dict[str, str]) -> None:
    [first] = read(check, tmp_path / "grave", grave).findings
    [second] = read(check, tmp_path / "mild", mild).findings

    assert str(first.severity) == "high"
    assert second.severity.rank > first.severity.rank


TAPIOCA = {"sorbet/tapioca/require.rb": 'require "sidekiq/testing"\n', "sorbet/rbi/a.rbi": ""}


@pytest.mark.parametrize(
    ("check", "fault", "twin"),
    [
        ("CFG004", {name.replace("sorbet", "lib"): text for name, text in TAPIOCA.items()}, TAPIOCA),
        (
            "CFG001",
            {"Gemfile.lock": LOCK.format("7.3.2"), "config/sidekiq.yml": ":namespace: x\n"},
            {
                "Gemfile.lock": LOCK.format("7.3.2").replace("sidekiq", "resque"),
                "config/sidekiq.yml": ":namespace: x\n",
            },
        ),
    ],
)
def test_what_nothing_reads(tmp_path: Path, check: str, fault: dict[str, str], twin: dict[str, str]) -> None:
    assert read(check, tmp_path / "ill", RAILS | fault).outcome.value == "fail"
    assert read(check, tmp_path / "well", RAILS | twin).outcome.value == "pass"


def test_a_line_that_all_environments_share_is_told_once(tmp_path: Path) -> None:
    text = "default: &d\n  namespace: x\n" + "".join(f"{one}:\n  <<: *d\n" for one in ("production", "staging"))

    assert len(read("CFG001", tmp_path, RAILS | {"config/sidekiq.yml": text}).findings) == 1


def test_the_lock_of_an_application_that_lies_deeper_than_another(tmp_path: Path) -> None:
    files = {"omnibus/Gemfile.lock": LOCK.format("1").replace("sidekiq", "omnibus")}
    files |= {f"src/shop/{path}": text for path, text in RAILS.items()}
    files["src/shop/Gemfile.lock"] = LOCK.format("6.5.7")

    assert read("PKG002", tmp_path, files).findings[0].finding.location == Location("src/shop/Gemfile.lock", 4)


def test_a_plan_that_is_ordered_for_trials_limits_nobody(tmp_path: Path) -> None:
    ordered = read("RED003", tmp_path / "ordered", ORDERED | {"docker-compose.yml": SIDEKIQ})
    elsewhere = read("RED003", tmp_path / "elsewhere", ORDERED | {"docker-compose.production.yml": SIDEKIQ})
    types = {"Procfile": "web: bundle exec puma\nworker: bundle exec sidekiq -c 40\n"}
    both = read("RED003", tmp_path / "both", ORDERED | {"docker-compose.yml": SIDEKIQ} | types)
    its_own = read("RED003", tmp_path / "types", ORDERED | types)

    assert (ordered.outcome.value, elsewhere.outcome.value) == ("fail", "unknown")
    assert (its_own.outcome.value, both.outcome.value) == ("fail", "unknown")


def test_an_environment_of_its_own_says_less_than_the_application(tmp_path: Path) -> None:
    files = {name: text.format("Dir.chdir('/x')") for name, text in ADAPTED.items()}
    files["config/environments/make_docs.rb"] = "config.active_job.queue_adapter = :delayed_job\n"

    [finding] = read("COD007", tmp_path, files).findings

    assert str(finding.severity) == "high"


def test_the_adapter_of_tests_says_nothing_of_production(tmp_path: Path) -> None:
    files = {name: text.format("Dir.chdir('/x')") for name, text in ADAPTED.items()}
    files["config/environments/test.rb"] = "config.active_job.queue_adapter = :test\n"

    [finding] = read("COD007", tmp_path, files).findings

    assert str(finding.severity) == "high"
