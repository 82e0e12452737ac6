"""Writes to what does not belong to a function alone, and their twins."""

from pathlib import Path

import pytest
from source import application, lines

from kiqdoctor.doctor.facts.code import Write, Writes

HEAD = "from kiqdoctor import job\nimport stripe, os, requests, threading\n"


def written(root: Path, **files: str) -> dict[str, Write]:
    """What jobs write, by name."""
    return {site.name: site for site, _, _, chain in lines(application(root, **files), Writes) if chain}


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("stripe.api_key = 'x'", "stripe.api_key"),
        ("os.environ['A'] = 'x'", "os.environ"),
        ("env = os.environ\n  env['A'] = 'x'", "os.environ"),
        ("os.environ.update(A='x')", "os.environ.update"),
        ("del os.environ['A']", "os.environ"),
        ("global count\n  count = 1", "shop.count"),
        ("global count\n  count += 1", "shop.count"),
        ("CACHE['a'] = 1", "shop.CACHE"),
        ("CACHE.setdefault('a', 1)", "shop.CACHE.setdefault"),
        ("R.rows = 1", "shop.R.rows"),
        ("R().go()", "shop.R().rows.append"),
        ("a, stripe.api_key = 1, 'x'", "stripe.api_key"),
    ],
)
def test_what_is_everybody_s(tmp_path: Path, body: str, name: str) -> None:
    text = f"CACHE = {{}}\nclass R:\n  rows = []\n  def go(self): self.rows.append(1)\n@job\ndef f():\n  {body}\n"

    assert name in written(tmp_path, shop_DOT_py=HEAD + text)


@pytest.mark.parametrize(
    "body",
    [
        "stripe.api_key",
        "rows = []\n  rows.append(1)",
        "CACHE = {}\n  CACHE['a'] = 1",
        "R().own()",
        "os.environ['A']",
        "count = 1",
    ],
)
def test_what_is_its_own(tmp_path: Path, body: str) -> None:
    text = f"CACHE = {{}}\nclass R:\n  def own(self): self.rows = []\n@job\ndef f():\n  {body}\n"

    assert written(tmp_path, shop_DOT_py=HEAD + text) == {}


def test_by_what_it_was_built_and_whether_a_lock_is_held(tmp_path: Path) -> None:
    text = "s = requests.Session()\nlock = threading.Lock()\n@job\ndef f():\n  {}s.headers.update(a=1)\n"
    free = written(tmp_path, shop_DOT_py=HEAD + text.format(""))["shop.s.headers.update"]
    held = written(tmp_path / "b", shop_DOT_py=HEAD + text.format("with lock: "))["shop.s.headers.update"]

    assert (free.made_by, free.locked) == ("requests.Session", False)
    assert (held.made_by, held.locked) == ("requests.Session", True)


JOB = "class J\n  include Sidekiq::Job\n  def perform(x)\n    {body}\n  end\nend\n"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ("Person.site = 'http://x'", "Person.site"),
        ("Person.headers['a'] = x", "Person.headers"),
        ("ENV['TZ'] = x", "ENV"),
        ("Sidekiq::Queue['q'].limit = 4", "Sidekiq::Queue[].limit"),
        ("@@seen = x", "@@seen"),
        ("$seen ||= x", "$seen"),
        ("a, Time.zone = 1, x", "Time.zone"),
    ],
)
def test_ruby(tmp_path: Path, body: str, name: str) -> None:
    assert name in written(tmp_path, job_DOT_rb=JOB.format(body=body))


@pytest.mark.parametrize("body", ["user.site = x", "@site = x", "site = x", "Person.site == x", "'Person.site = x'"])
def test_ruby_s_own(tmp_path: Path, body: str) -> None:
    assert written(tmp_path, job_DOT_rb=JOB.format(body=body)) == {}


def test_settings_that_a_file_makes_when_it_is_loaded(tmp_path: Path) -> None:
    text = "config.active_job.enqueue_after_transaction_commit = :always\n"
    [(site, path, line, chain)] = lines(application(tmp_path, config__application_DOT_rb=text), Writes)

    assert site.name == "?.active_job.enqueue_after_transaction_commit"
    assert (path, line, chain) == ("config/application.rb", 1, ())
