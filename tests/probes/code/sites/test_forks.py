"""What forks in the code, and what a fork would inherit."""

from pathlib import Path

import pytest
from source import application, lines

from kiqdoctor.doctor.facts.code import BuiltAtLoad, Forks


@pytest.mark.parametrize(
    ("file", "text", "name"),
    [
        ("a.py", "import os\ndef f(): os.fork()\n", "os.fork"),
        ("a.py", "from os import fork as split\nsplit()\n", "os.fork"),
        ("a.py", "import multiprocessing as mp\nmp.Pool(2)\n", "multiprocessing.Pool"),
        (
            "a.py",
            "from concurrent.futures import ProcessPoolExecutor\nwith ProcessPoolExecutor() as pool: pass\n",
            "concurrent.futures.ProcessPoolExecutor",
        ),
        ("a.rb", "fork { go }\n", "fork"),
        ("a.rb", "pid = fork\n", "fork"),
        ("a.rb", "Process.fork do\n  go\nend\n", "Process.fork"),
    ],
)
def test_code_that_forks(tmp_path: Path, file: str, text: str, name: str) -> None:
    (tmp_path / file).write_text(text)

    assert [site.name for site, *_ in lines(application(tmp_path), Forks)] == [name]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.py", "def fork(): pass\nfork()\n"),
        ("a.py", "import os\nf = os.forkpty\n"),
        ("a.py", "'os.fork()'\n"),
        ("a.rb", "class Road\n  def fork; end\n  def go; fork; end\nend\n"),
        ("a.rb", "road.fork\n"),
        ("a.rb", "# fork\n"),
    ],
)
def test_code_that_does_not(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text)

    assert [*lines(application(tmp_path), Forks)] == []


@pytest.mark.parametrize(
    ("file", "text", "made_by"),
    [
        ("a.py", "import psycopg2\nconn = psycopg2.connect('')\n", "psycopg2.connect"),
        ("a.py", "import psycopg2 as pg\nclass A:\n  conn = pg.connect('')\n", "psycopg2.connect"),
        ("a.py", "import psycopg2\nmake = psycopg2.connect\nconn = make('')\n", "psycopg2.connect"),
        ("config/initializers/redis.rb", "REDIS = Redis.new(url: 'x')\n", "Redis"),
        ("config/initializers/redis.rb", "$redis = Redis.current\n", "Redis"),
    ],
)
def test_what_is_built_at_load(tmp_path: Path, file: str, text: str, made_by: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)

    assert [site.name for site, *_ in lines(application(tmp_path), BuiltAtLoad)] == [made_by]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("a.py", "import psycopg2\ndef f(): conn = psycopg2.connect('')\n"),
        ("a.py", "def connect(): pass\nconn = connect()\n"),
        ("a.py", "import psycopg2\nconn = psycopg2.connect\n"),
        ("config/initializers/redis.rb", "on_worker_boot { REDIS = Redis.new }\n"),
        ("config/initializers/redis.rb", "POOL = -> { Redis.new }\n"),
        ("config/initializers/redis.rb", "def redis\n  Redis.new\nend\n"),
        ("app/models/user.rb", "REDIS = Redis.new\n"),
    ],
)
def test_what_is_not(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(text)

    assert [*lines(application(tmp_path), BuiltAtLoad)] == []
