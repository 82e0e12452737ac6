"""COD010: the catalogue's examples in all their ways."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, performing
from rewriting import crossed, python

FAULTS = crossed(
    {
        "P1": "import requests\nget = requests.get\nclass J(Job):\n  def perform(self, u): get(u)\n",
        "P2": "import httpx\n@job\ndef f(u): httpx.Client(timeout=None).get(u)\n",
        "P3": "import redis\n@job\ndef f(h): redis.Redis(socket_timeout=None).get('x')\n",
        "P3, mail": "import smtplib\n@job\ndef f(h): smtplib.SMTP(h)\n",
        "a database": "import psycopg\n@job\ndef f(h): psycopg.connect(host=h)\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": "import requests\nOPTS = {'timeout': (3, 10)}\n@job\ndef f(u): requests.get(u, **OPTS)\n",
        "N2": (
            "import requests\nfrom adapters import TimeoutAdapter\n@job\ndef f(u):\n"
            "  s = requests.Session(); s.mount('https://', TimeoutAdapter(5)); s.get(u)\n"
        ),
        "N3": "import httpx\n@job\ndef f(u, dict_like): httpx.get(u); dict_like.get(u)\n",
        "no job": "import requests\n@job\ndef f(): pass\ndef web(u): requests.get(u)\n",
        "for all": "import smtplib, socket\nsocket.setdefaulttimeout(5)\n@job\ndef f(h): smtplib.SMTP(h)\n",
        "a database": "import psycopg\n@job\ndef f(h): psycopg.connect('host=x connect_timeout=3')\n",
        "a database by its text": "import psycopg\n@job\ndef f(h): psycopg.connect(h)\n",
    },
    python,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD010", tmp_path, text).findings

    assert one.severity == "medium"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD010", tmp_path, text))


@pytest.mark.parametrize(
    ("line", "severity"),
    [
        ('TCPSocket.new("h", 80)', "medium"),
        ('HTTP.get("http://h")', "medium"),
        ('Net::HTTP.start("h", 80, read_timeout: nil)', "medium"),
        ('Net::HTTP.get("h", "/")', "info"),
        ('HTTP.timeout(5).get("http://h")', None),
        ('Net::HTTP.start("h", 80, read_timeout: 5)', None),
    ],
)
def test_ruby(tmp_path: Path, line: str, severity: str | None) -> None:
    found = in_ruby("COD010", tmp_path, performing(line)).findings

    assert [one.severity for one in found] == ([severity] if severity else [])
