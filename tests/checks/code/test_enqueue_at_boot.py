"""COD011: the catalogue's examples in all their ways; how they are served decides."""

from pathlib import Path

import pytest
from judging import IN_PYTHON, accused, judged, performing, read
from rewriting import crossed, python

WARM = IN_PYTHON + "@job\ndef warm(): pass\n"
GUNICORN = {"gunicorn_DOT_conf_DOT_py": "workers = 4\npreload_app = True\n", "Procfile": "web: gunicorn app:app\n"}
UWSGI = {"uwsgi_DOT_ini": "[uwsgi]\nmodule = app\nprocesses = 4\n"}
PUMA = {"config__puma_DOT_rb": "workers 4\npreload_app!\n"}
FAULTS = crossed(
    {
        "P1": "from shop import warm\nwarm.perform_async()\n",
        "P2": (
            "from django.apps import AppConfig\nfrom shop import warm\nclass A(AppConfig):\n"
            "  def ready(self): schedule()\ndef schedule(): warm.perform_async()\n"
        ),
        "P3": "import redis\nCACHE = redis.Redis(host='x').get('flags')\n",
        "P3, a name": "import redis\nr = redis.Redis()\nFLAGS = r.get('flags')\n",
        "three calls": "from shop import warm\ndef a(): b()\ndef b(): warm.perform_async()\na()\n",
        "the ORM": "from django.db import models\nclass U(models.Model): pass\nCOUNT = U.objects.count()\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": "import redis\nr = redis.Redis()\ndef f(): return r.get('x')\n",
        "N2": "from shop import warm\ndef post_fork(server, worker): warm.perform_async()\n",
        "N3": "from shop import warm\nif __name__ == '__main__': warm.perform_async()\n",
        "a client": "from django.core.cache import cache\nC = cache.client.get_client()\n",
        "later": "from shop import warm\nat_exit = lambda: warm.perform_async()\n",
    },
    python,
)
LISTENS = (
    "module Listener\n  def self.changed(said)\n    WarmJob.perform_async\n  end\n"
    "  def self.subscribe!\n    ActiveSupport::Notifications.subscribe('changed') { |*, said| changed(said) }\n"
)
RUBY_FAULTS = {
    "P1": "WarmJob.perform_async\n",
    "P2": "FOO = Sidekiq::Limiter.concurrent(:foo, 2)\n",
    "P3": 'Sidekiq::Queue["q"].limit = 4\n',
    "initialised": "Rails.application.config.after_initialize do\n  WarmJob.perform_async\nend\n",
    "a method": "def warm\n  WarmJob.perform_async\nend\nwarm()\n",
    "a constant": "STORE = Redis.new\nSTORE.get('x')\n",
    "a method's loop": "def warm\n  [1].each { WarmJob.perform_async }\nend\nwarm()\n",
    "kept for later and at once": LISTENS + "    changed('x')\n  end\nend\nListener.subscribe!\n",
}
RUBY_TWINS = {
    "N1": "Sidekiq.configure_server do |config|\n  config.on(:startup) { WarmJob.perform_async }\nend\n",
    "N2": "on_worker_boot do\n  WarmJob.perform_async\nend\n",
    "N3": "Rails.application.config.after_initialize do\n  WarmJob.perform_async if Sidekiq.server?\nend\n",
    "built only": "STORE = Redis.new(url: 'x')\n",
    "a method keeps it for later": LISTENS + "  end\nend\nListener.subscribe!\n",
    "a method that chooses": "def warm\n  WarmJob.perform_async if Sidekiq.server?\nend\nwarm()\n",
    "configured": "Sidekiq.redis = { url: 'x' }\n",
}


@pytest.mark.parametrize("served", [GUNICORN, UWSGI], ids=["gunicorn", "uwsgi"])
@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str, served: dict[str, str]) -> None:
    [one] = judged("COD011", tmp_path, shop_DOT_py=WARM, settings__celery_DOT_py=text, **served).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(judged("COD011", tmp_path, shop_DOT_py=WARM, settings__celery_DOT_py=text, **GUNICORN))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    files = {"config__initializers__x_DOT_rb": text, "app__jobs__j_DOT_rb": performing("x"), **PUMA}
    [one] = judged("COD011", tmp_path, **files).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    files = {"config__initializers__x_DOT_rb": text, "app__jobs__j_DOT_rb": performing("x"), **PUMA}

    assert not accused(judged("COD011", tmp_path, **files))


def test_who_forks_first_loads_it_in_each_child(tmp_path: Path) -> None:
    served = {"Procfile": "web: gunicorn --workers 4 app:app\n"}

    assert not accused(judged("COD011", tmp_path, shop_DOT_py=WARM, app_DOT_py=FAULTS["P1, as written"], **served))


def test_nothing_tells_how_it_is_served(tmp_path: Path) -> None:
    found = judged("COD011", tmp_path, shop_DOT_py=WARM, app_DOT_py=FAULTS["P1, as written"]).findings

    assert [one.severity for one in found] == ["info"]


@pytest.mark.parametrize(
    ("path", "severities"),
    [("shop__feature_DOT_py", ["low"]), ("scripts__fill_DOT_py", [])],
    ids=["unloaded", "by hand"],
)
def test_files_that_nobody_loads(tmp_path: Path, path: str, severities: list[str]) -> None:
    files = {"shop_DOT_py": WARM, path: FAULTS["P1, as written"], **GUNICORN}

    assert [one.severity for one in judged("COD011", tmp_path, **files).findings] == severities


def test_where_it_begins_is_told(tmp_path: Path) -> None:
    asks = "import redis\nclass R:\n  hidden = helper_size()\n"
    helper = "import redis\ndef helper_size(): return redis.Redis().llen('x')\n"
    files = {"views_DOT_py": asks.replace("import redis", "from helper import helper_size"), "helper_DOT_py": helper}
    [one] = judged("COD011", tmp_path, urls_DOT_py="import views\n", shop_DOT_py=WARM, **files, **GUNICORN).findings

    assert [two.value for two in one.finding.evidence][:2] == ["views", "helper.helper_size"]


LOCK = "GEM\n  remote: https://rubygems.org/\n  specs:\n    sidekiq (7.2.0)\n    {gem}\n"


@pytest.mark.parametrize(
    ("gem", "line", "severity"),
    [
        ("redis-client (0.22.0)", 'Sidekiq::Queue["q"].limit = 4\n', "low"),
        ("redis-client (0.14.1)", 'Sidekiq::Queue["q"].limit = 4\n', "high"),
        ("redis-client (0.22.0)", "WarmJob.perform_async\n", "high"),
        ("redis (5.1.0)", "STORE = Redis.new\nSTORE.get('x')\n", "low"),
        ("redis (4.8.1)", "STORE = Redis.new\nSTORE.get('x')\n", "high"),
    ],
    ids=["a client that notices", "one before that", "a job is enqueued all the same", "redis-rb 5", "redis-rb 4"],
)
def test_a_client_that_leaves_what_it_inherits_alone(tmp_path: Path, gem: str, line: str, severity: str) -> None:
    files = {
        "config/initializers/x.rb": line,
        "app/jobs/j.rb": performing("x"),
        "config/puma.rb": "workers 4\npreload_app!\n",
        "Gemfile": "gem 'sidekiq'\n",
        "Gemfile.lock": LOCK.format(gem=gem),
    }

    assert [one.severity for one in read("COD011", tmp_path, files).findings] == [severity]


@pytest.mark.parametrize(
    ("version", "line", "severity"),
    [
        ("5.0.4", "import redis\nr = redis.Redis()\nr.ping()\n", "low"),
        ("3.4.1", "import redis\nr = redis.Redis()\nr.ping()\n", "high"),
        ("5.0.4", "from shop import warm\nwarm.perform_async()\n", "high"),
    ],
    ids=["a pool that knows its process", "one before that", "a job is enqueued all the same"],
)
def test_a_pool_that_leaves_what_it_inherits_alone(tmp_path: Path, version: str, line: str, severity: str) -> None:
    files = {
        "requirements.txt": f"redis=={version}\n",
        "shop.py": WARM,
        "app.py": line,
        "gunicorn.conf.py": "workers = 4\npreload_app = True\n",
        "Procfile": "web: gunicorn app:app\n",
    }

    assert [one.severity for one in read("COD011", tmp_path, files).findings] == [severity]


def test_an_application_below_the_root(tmp_path: Path) -> None:
    files = {
        "README.md": "",
        "backend/Gemfile.lock": "GEM\n  specs:\n    sidekiq (7.3.2)\n\nDEPENDENCIES\n  sidekiq\n",
        "backend/Gemfile": 'gem "sidekiq"\n',
        "backend/config/puma.rb": "workers 4\npreload_app!\n",
        "backend/config/initializers/warm.rb": "WarmJob.perform_async\n",
        "backend/app/jobs/warm_job.rb": "class WarmJob\n  include Sidekiq::Job\n  def perform; end\nend\n",
    }
    [one] = read("COD011", tmp_path, files).findings

    assert one.severity == "high"
    assert one.finding.location is not None
    assert one.finding.location.path == "backend/config/initializers/warm.rb"
