"""COD012: the catalogue's examples in all their ways."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, performing
from rewriting import crossed, python, ruby

FAULTS = crossed(
    {
        "P1": "from app import db\nclass J(Job):\n  def perform(self): db.engine.dispose()\n",
        "P3": (
            "from app import redis_client\n@job\ndef f():\n  try: pass\n"
            "  finally: redis_client.connection_pool.disconnect()\n"
        ),
        "P1, an engine": "from sqlalchemy import create_engine\nE = create_engine('x')\n@job\ndef f(): E.dispose()\n",
        "one of two without a pool": (
            "from sqlalchemy import create_engine as made\nfrom sqlalchemy.pool import NullPool\nE = made(0)\n"
            "F = made(1, poolclass=NullPool)\n"
            "@job\ndef f(): E.dispose()\n"
        ),
    },
    python,
)
TWINS = crossed(
    {
        "N1": "from django.db import close_old_connections\n@job\ndef f(): close_old_connections()\n",
        "N2": (
            "import os\nfrom app import engine\n@job\ndef f(): pass\ndef child(): engine.dispose(close=False)\n"
            "os.register_at_fork(after_in_child=child)\n"
        ),
        "others stay open": "from app import db\n@job\ndef f(): db.engine.dispose(close=False)\n",
        "an engine without a pool": (
            "from sqlalchemy import create_engine\nfrom sqlalchemy.pool import NullPool\n"
            "E = create_engine('x', poolclass=NullPool)\n@job\ndef f(): E.dispose()\n"
        ),
        "anything": "@job\ndef f(form): form.dispose()\n",
    },
    python,
)
RUBY_FAULTS = crossed(
    {
        "P1": performing("ActiveRecord::Base.verify_active_connections!"),
        "P2": performing("ActiveRecord::Base.connection_pool.disconnect!"),
        "P3": performing("ActiveRecord::Base.establish_connection(x)"),
        "a pool removed": performing("ActiveRecord::Base.remove_connection"),
        "a pool removed by its name": performing("ActiveRecord::Base.remove_connection(x)"),
        "a class' own pool removed": performing("Shard.remove_connection"),
        "of the handler": performing("ActiveRecord::Base.connection_handler.remove_connection_pool(x)"),
    },
    ruby,
)
RUBY_TWINS = crossed(
    {
        "N1": performing("ActiveRecord::Base.connection_pool.with_connection { }"),
        "N2": performing("x", head="before_fork do\n  ActiveRecord::Base.connection_pool.disconnect!\nend\n"),
        "N3": performing("ActiveRecord::Base.connected_to(role: :reading) { }"),
        "a hub of sockets": performing("Hub.remove_connection(x)"),
        "an object of any kind": performing("x.remove_connection"),
    },
    ruby,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD012", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD012", tmp_path, text))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD012", tmp_path, text).findings

    assert one.severity == "high"


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD012", tmp_path, text))


def test_django_s_are_the_thread_s_own_p2(tmp_path: Path) -> None:
    text = "from django.db import connections as c\n@job\ndef f(): c.close_all()\n"

    assert [one.severity for one in in_python("COD012", tmp_path, text).findings] == ["info"]
