"""COD005: the catalogue's examples in all their ways."""

from pathlib import Path

import pytest
from judging import accused, in_python
from rewriting import crossed, python

from kiqdoctor.doctor.report import Outcome

FAULTS = crossed(
    {
        "P1": "import requests\nS = requests.Session()\nclass J(Job):\n  def perform(self, u): S.get(u, timeout=5)\n",
        "P2": (
            "import psycopg2\nclass Base:\n  db = psycopg2.connect('x')\n"
            "class J(Base, Job):\n  def perform(self): self.db.cursor().execute('x')\n"
        ),
        "P3": (
            "import httpx, asyncio\nhttp = httpx.AsyncClient()\n"
            "class J(Job):\n  def perform(self, u): asyncio.run(http.get(u))\n"
        ),
    },
    python,
)
TWINS = crossed(
    {
        "N1": "import boto3\nS3 = boto3.client('s3')\n@job\ndef f(): S3.list_buckets()\n",
        "N2": (
            "import threading, requests\n_l = threading.local()\n"
            "def s(): _l.s = getattr(_l, 's', None) or requests.Session(); return _l.s\n@job\ndef f(u): s().get(u)\n"
        ),
        "N3": (
            "from sqlalchemy import create_engine\nfrom sqlalchemy.orm import scoped_session, sessionmaker\n"
            "engine = create_engine('x')\nSession = scoped_session(sessionmaker(engine))\n"
            "@job\ndef f():\n  Session.execute('x'); Session.remove()\n"
        ),
    },
    python,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD005", tmp_path, text).findings

    assert one.severity == ("medium" if "requests" in text else "high")


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD005", tmp_path, text))


def test_one_job_a_process_shares_nothing(tmp_path: Path) -> None:
    text = "import requests\nfrom celery import shared_task\nS = requests.Session()\n@shared_task\ndef f(u): S.get(u)\n"

    assert in_python("COD005", tmp_path, text).outcome is Outcome.NOT_APPLICABLE
