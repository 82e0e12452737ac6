"""COD015: the catalogue's examples; who patches first decides."""

from pathlib import Path

import pytest
from judging import IN_PYTHON, accused, judged
from rewriting import crossed, python

from kiqdoctor.doctor.report import Outcome

JOBS = IN_PYTHON + "@job\ndef warm(): pass\n"
LOG = "import threading\nLOCK = threading.Lock()\n"
FAULTS = crossed(
    {
        "P1": "import requests\nfrom gevent import monkey; monkey.patch_all()\n",
        "P2": "import log\nimport gevent.monkey\ngevent.monkey.patch_all()\n",
        "P3": "import ssl\nimport eventlet\neventlet.monkey_patch()\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": '"""App."""\nfrom gevent import monkey; monkey.patch_all()\nimport requests\nimport log\n',
        "N3": "import requests\n",
        "other imports": "import os, sys\nfrom gevent import monkey\nmonkey.patch_all()\n",
    },
    python,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_faults(tmp_path: Path, text: str) -> None:
    [one] = judged("COD015", tmp_path, shop_DOT_py=JOBS, log_DOT_py=LOG, wsgi_DOT_py=text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_twins(tmp_path: Path, text: str) -> None:
    assert not accused(judged("COD015", tmp_path, shop_DOT_py=JOBS, log_DOT_py=LOG, wsgi_DOT_py=text))


@pytest.mark.parametrize(
    "served",
    [
        {"Procfile": "web: gunicorn -k gevent wsgi:app\n"},
        {"Procfile": "web: gunicorn wsgi:app\n", "gunicorn_DOT_conf_DOT_py": "worker_class = 'gevent'\n"},
    ],
    ids=["command", "setting"],
)
def test_the_server_patches_first_n3(tmp_path: Path, served: dict[str, str]) -> None:
    text = FAULTS["P1, as written"]

    assert not accused(judged("COD015", tmp_path, shop_DOT_py=JOBS, wsgi_DOT_py=text, **served))


def test_under_a_condition_n2(tmp_path: Path) -> None:
    text = "import os, requests\nif os.environ.get('GEVENT'):\n  from gevent import monkey\n  monkey.patch_all()\n"
    result = judged("COD015", tmp_path, shop_DOT_py=JOBS, wsgi_DOT_py=text)

    assert result.outcome is Outcome.NOT_APPLICABLE


def test_eventlet_itself_is_advised_against(tmp_path: Path) -> None:
    text = "import eventlet\neventlet.monkey_patch()\n"

    assert [one.severity for one in judged("COD015", tmp_path, shop_DOT_py=JOBS, wsgi_DOT_py=text).findings] == ["info"]
