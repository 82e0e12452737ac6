"""Whole trees, a fault and its twin one fact apart, of what checks of files once took for the other."""

from pathlib import Path

import pytest
from judging import read

GEMS = "GEM\n  remote: https://rubygems.org/\n  specs:\n    sidekiq (7.3.2)\n\nDEPENDENCIES\n  sidekiq\n"
RUBY = {
    "Gemfile.lock": GEMS,
    "app/jobs/hard_job.rb": "class HardJob\n  include Sidekiq::Job\n  def perform(id)\n    puts id\n  end\nend\n",
}
COMPOSE = "services:\n  worker:\n    build: .\n    command: bundle exec sidekiq\n    stop_grace_period: 40s\n"
PORTS = "services:\n  worker:\n    build: .\n    command: bundle exec sidekiq\n  redis:\n    image: redis:7.4\n{}"
OPEN = PORTS.format('    ports: ["6379:6379"]\n')
WORKFLOW = "on: push\njobs:\n  go:\n    steps:\n    - run: redis-cli -u $REDIS_URL {}\n"
POPS = {"requirements.txt": "redis==5.0.0\n"}
VIEWS = {
    "requirements.txt": "celery==5.4.0\n",
    "shop/tasks.py": "from celery import shared_task\n@shared_task\ndef mail(pk):\n    print(pk)\n",
    "shop/urls.py": "from django.urls import path\nfrom shop import views\nurlpatterns = [path('x/', views.create)]\n",
    "shop/views.py": "from shop.tasks import mail\n{}def create(request):\n    mail.delay(1)\n",
}
DATABASES = "DATABASES = {{'default': {{'ENGINE': 'x', 'ATOMIC_REQUESTS': {}}}}}\n"
FREE = "from django.db import transaction\n@transaction.non_atomic_requests\n"
ACTORS = (
    "import dramatiq\nfrom sqlalchemy import create_engine\n"
    "engine = create_engine('postgresql://x', pool_size=5, max_overflow={})\n"
    "@dramatiq.actor\ndef go(i):\n    print(i)\n"
)


def popping(client: str) -> dict[str, str]:
    return POPS | {"app/w.py": f"import redis\n{client}\ndef loop():\n    fetcher.blpop('q', 5)\n"}


def view(setting: str, head: str = "") -> dict[str, str]:
    return VIEWS | {"shop/settings.py": DATABASES.format(setting), "shop/views.py": VIEWS["shop/views.py"].format(head)}


def within(line: str) -> dict[str, str]:
    text = f"from celery import chain\nfrom django.db import transaction\nfrom shop.tasks import mail\n{WITHIN}{line}\n"
    return VIEWS | {"shop/views.py": text}


def handed(line: str) -> dict[str, str]:
    return {"app/jobs.py": HANDED.replace("LINE", line), "requirements.txt": "dramatiq==1.17.0\n"}


WITHIN = "def create(request):\n    with transaction.atomic():\n        "
HANDED = """import dramatiq, requests
class Client:
    def get(self, u):
        LINE
class Service:
    def __init__(self, client: Client):
        self.client = client
    def run(self, u):
        self.client.get(u)
@dramatiq.actor
def go(u):
    Service(Client()).run(u)
"""


PAIRS = {
    "PRO010, a grace that production resets": (
        "PRO010",
        RUBY
        | {
            "docker-compose.yml": COMPOSE,
            "docker-compose.prod.yml": "services:\n  worker:\n    stop_grace_period: !reset null\n",
        },
        RUBY | {"docker-compose.yml": COMPOSE, "docker-compose.prod.yml": "services:\n  worker:\n    init: true\n"},
    ),
    "SEC001, ports that production resets": (
        "SEC001",
        RUBY | {"docker-compose.yml": OPEN, "docker-compose.prod.yml": "services:\n  redis:\n    restart: always\n"},
        RUBY | {"docker-compose.yml": OPEN, "docker-compose.prod.yml": "services:\n  redis:\n    ports: !reset []\n"},
    ),
    "SEC001, an address in an initializer": (
        "SEC001",
        RUBY
        | {"config/initializers/s.rb": "Sidekiq.configure_server { |c| c.redis = { url: 'redis://r.acme.io/0' } }\n"},
        RUBY
        | {"config/initializers/s.rb": "Sidekiq.configure_server { |c| c.redis = { url: 'rediss://r.acme.io/0' } }\n"},
    ),
    "NSP006, a workflow that deploys": (
        "NSP006",
        RUBY | {".github/workflows/deploy.yml": WORKFLOW.format("FLUSHALL")},
        RUBY | {".github/workflows/tests.yml": WORKFLOW.format("FLUSHALL")},
    ),
    "DBC001, Dramatiq's threads": (
        "DBC001",
        {"Procfile": "worker: dramatiq app.j --threads 20 --processes 1\n", "app/j.py": ACTORS.format(0)},
        {"Procfile": "worker: dramatiq app.j --threads 20 --processes 1\n", "app/j.py": ACTORS.format(15)},
    ),
    "CFG005, an address that says it": (
        "CFG005",
        popping("fetcher = redis.from_url('redis://h/0?socket_timeout=2')"),
        popping("fetcher = redis.from_url('redis://h/0?socket_timeout=10')"),
    ),
    "CFG005, options that are spread": (
        "CFG005",
        popping("OPTIONS = {'socket_timeout': 2}\nfetcher = redis.Redis(**OPTIONS)"),
        popping("OPTIONS = {'socket_timeout': 10}\nfetcher = redis.Redis(**OPTIONS)"),
    ),
    "CFG005, a client beside it": (
        "CFG005",
        popping("cache = redis.Redis(socket_timeout=9)\nfetcher = redis.Redis(socket_timeout=2)"),
        popping("cache = redis.Redis(socket_timeout=2)\nfetcher = redis.Redis(socket_timeout=None)"),
    ),
    "CFG005, its pool": (
        "CFG005",
        popping("pool = redis.ConnectionPool(socket_timeout=2)\nfetcher = redis.Redis(connection_pool=pool)"),
        popping("pool = redis.ConnectionPool(socket_timeout=9)\nfetcher = redis.Redis(connection_pool=pool)"),
    ),
    "COD001, requests that are transactions": ("COD001", view("True"), view("False")),
    "COD001, a chain of Celery's": (
        "COD001",
        within("chain(mail.s(1), mail.s()).apply_async()"),
        within("transaction.on_commit(chain(mail.s(1), mail.s()).apply_async)"),
    ),
    "COD001, signatures by a pipe": (
        "COD001",
        within("(mail.s(1) | mail.s()).delay()"),
        within("work = mail.s(1) | mail.s()"),
    ),
    "COD010, what a constructor is handed": (
        "COD010",
        handed("return requests.get(u)"),
        handed("return requests.get(u, timeout=2)"),
    ),
    "COD001, a view that is none": ("COD001", view("True"), view("True", FREE)),
    "COD011, what the web server alone loads": (
        "COD011",
        {
            **VIEWS,
            "shop/views.py": "",
            "gunicorn.conf.py": "preload_app = True\nworkers = 4\n",
            "Procfile": "web: gunicorn shop.wsgi\n",
            "shop/wsgi.py": "from shop.tasks import mail\nmail.delay(1)\napplication = None\n",
        },
        {
            **VIEWS,
            "shop/views.py": "",
            "gunicorn.conf.py": "preload_app = False\nworkers = 4\n",
            "Procfile": "web: gunicorn shop.wsgi\n",
            "shop/wsgi.py": "from shop.tasks import mail\nmail.delay(1)\napplication = None\n",
        },
    ),
}


@pytest.mark.parametrize(("check", "fault", "twin"), PAIRS.values(), ids=PAIRS)
def test_a_fault_and_its_twin(tmp_path: Path, check: str, fault: dict[str, str], twin: dict[str, str]) -> None:
    ill = read(check, tmp_path / "ill", fault)

    assert ill.outcome.value == "fail"
    assert {str(one.severity) for one in ill.findings} - {"info"}
    assert read(check, tmp_path / "well", twin).outcome.value in {"pass", "not-applicable"}
