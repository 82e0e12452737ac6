"""DBC002: the catalogue's examples in all their ways; what forks, and what a child does about it."""

from pathlib import Path

import pytest
from healthy import HEALTHY
from judging import IN_PYTHON, accused, judged
from rewriting import crossed, python
from source import application, looked

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome

JOBS = IN_PYTHON + "@job\ndef warm(): pass\n"
PRELOAD = {"gunicorn_DOT_conf_DOT_py": "workers = 4\npreload_app = True\n", "Procfile": "web: gunicorn app:app\n"}
ENGINE = "from sqlalchemy import create_engine\nengine = create_engine('x')\n"
FAULTS = crossed(
    {
        "P1": ENGINE + "engine.connect().execute('select 1')\n",
        "P2": "from pymongo import MongoClient\ndb = MongoClient('x')['x']\ndb.flags.find_one()\n",
        "P3": "import psycopg\nconn = psycopg.connect('x')\n",
        "a producer": "from kafka import KafkaProducer\nproducer = KafkaProducer()\n",
        "another is thrown away": (
            ENGINE + "def ready():\n  probe = create_engine('x')\n  engine.connect()\n  probe.dispose()\nready()\n"
        ),
        "another word of the pool": (
            "import os\nfrom sqlalchemy import event\n" + ENGINE + "@event.listens_for(engine, 'checkout')\n"
            "def count(connection, record, proxy): print(record)\nprint(os.getpid())\nengine.connect()\n"
        ),
        "in a function": ENGINE + "def check(): engine.connect().execute('select 1')\ncheck()\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": ENGINE,
        "N2": (
            "from sqlalchemy import create_engine\nfrom sqlalchemy.pool import NullPool\n"
            "engine = create_engine('x', poolclass=NullPool)\nengine.connect()\n"
        ),
        "N3": (
            "from celery.signals import worker_process_init\n" + ENGINE + "engine.connect()\n"
            "@worker_process_init.connect\ndef i(**k): engine.dispose(close=False)\n"
        ),
        "opened anew": (
            "import psycopg\nconn = psycopg.connect('x')\n"
            "def post_fork(server, worker):\n  global conn\n  conn = psycopg.connect('x')\n"
        ),
        "let go": "import psycopg\ndef ask():\n  conn = psycopg.connect('x')\n  conn.close()\nask()\n",
        "thrown away": (
            "from sqlalchemy import create_engine\ndef ready():\n  probe = create_engine('x')\n"
            "  try:\n    probe.connect().execute('select 1')\n  finally: probe.dispose()\nready()\n"
        ),
        "its connection": (
            "from sqlalchemy import create_engine\ndef ready():\n  probe = create_engine('x')\n"
            "  conn = probe.connect()\n  conn.execute('select 1')\n  probe.dispose()\nready()\n"
        ),
        "whose a connection is": (
            "import os\nfrom sqlalchemy import event\n" + ENGINE + "@event.listens_for(engine, 'checkout')\n"
            "def ours(connection, record, proxy):\n  if record.info['pid'] != os.getpid(): raise ValueError\n"
            "engine.connect()\n"
        ),
        "whose it is, by a call": (
            "import os\nfrom sqlalchemy import event\n" + ENGINE + "def ours(connection, record, proxy):\n"
            "  if record.info['pid'] != os.getpid(): raise ValueError\n"
            "event.listen(engine, 'checkout', ours)\nengine.connect()\n"
        ),
        "in a job": "from pymongo import MongoClient\nfrom shop import job\n@job\ndef f(): MongoClient().x.find()\n",
    },
    python,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path: Path, text: str) -> None:
    [one] = judged("DBC002", tmp_path, shop_DOT_py=JOBS, app_DOT_py=text, **PRELOAD).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_twins(tmp_path: Path, text: str) -> None:
    assert not accused(judged("DBC002", tmp_path, shop_DOT_py=JOBS, app_DOT_py=text, **PRELOAD))


@pytest.mark.parametrize(
    "jobs",
    [
        "from celery import shared_task\n@shared_task\ndef warm(): pass\n",
        JOBS + "import multiprocessing\ndef start(): multiprocessing.Process(target=warm).start()\n",
    ],
    ids=["celery", "multiprocessing"],
)
def test_others_fork_too(tmp_path: Path, jobs: str) -> None:
    files = {"shop_DOT_py": jobs, "app_DOT_py": FAULTS["P3, as written"]}

    assert [one.severity for one in judged("DBC002", tmp_path, **files).findings] == ["high"]


@pytest.mark.parametrize(("version", "severity"), [("4.2.0", "high"), ("4.3.0", "medium")])
def test_newer_pymongo_is_softer(tmp_path: Path, version: str, severity: str) -> None:
    tree = application(tmp_path, shop_DOT_py=JOBS, app_DOT_py=FAULTS["P2, as written"], **PRELOAD)
    locked = Packages((Package("python", "pymongo", version, "requirements.txt"),))

    assert [one.severity for one in diagnose("DBC002", looked(tree, HEALTHY).with_(locked)).findings] == [severity]


def test_nothing_tells_how_processes_start(tmp_path: Path) -> None:
    result = judged("DBC002", tmp_path, shop_DOT_py=JOBS, app_DOT_py=FAULTS["P3, as written"])

    assert result.outcome is Outcome.UNKNOWN
