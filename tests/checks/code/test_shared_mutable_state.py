"""COD002: the catalogue's examples in all their ways, and how jobs run."""

from pathlib import Path

import pytest
from judging import accused, in_python, in_ruby, performing
from rewriting import crossed, python, ruby

from kiqdoctor.doctor.report import Outcome

FAULTS = crossed(
    {
        "P1": "class R(Job):\n  rows = []\n  def perform(self, i): self.rows.append(i)\n",
        "P2": "@job\ndef f(x, seen={}): seen[x] = 1\n",
        "P3": (
            "_c = None\ndef client():\n  global _c\n  if _c is None: _c = Client()\n  return _c\n"
            "@job\ndef f(): client()\n"
        ),
        "after the lock": (
            "import threading\nLOCK = threading.Lock()\nCACHE = {}\n@job\ndef f(k, v):\n"
            "  LOCK.acquire()\n  LOCK.release()\n  CACHE[k] = v\n"
        ),
        "counted": "n = 0\n@job\ndef f():\n  global n\n  n += 1\n",
        "a counter": "from collections import Counter\nN = Counter()\n@job\ndef f(x):\n  N[x] += 1\n",
    },
    python,
)
TWINS = crossed(
    {
        "N1": "class R(Job):\n  def perform(self):\n    self.rows = []\n    self.rows.append(1)\n",
        "N2": (
            "import threading\n_l = threading.local()\ndef client():\n"
            "  if not hasattr(_l, 'c'): _l.c = Client()\n@job\ndef f(): client()\n"
        ),
        "N3, acquired": (
            "import threading\nLOCK = threading.Lock()\nCACHE = {}\n@job\ndef f(k, v):\n"
            "  LOCK.acquire()\n  try:\n    CACHE[k] = v\n  finally:\n    LOCK.release()\n"
        ),
        "N3": "import threading\nLOCK = threading.Lock()\nCACHE = {}\n@job\ndef f(k, v):\n  with LOCK: CACHE[k] = v\n",
    },
    python,
)
RUBY_TWINS = crossed(
    {
        "N2": performing("MUTEX.synchronize { @@n += 1 }"),
        "N3": performing("CACHE.compute_if_absent(x) { 1 }", head="CACHE = Concurrent::Map.new\n"),
        "N3, an item": performing("CACHE[x] = 1", head="CACHE = Concurrent::Map.new\n"),
        "a constant under a lock": performing("M.synchronize { SEEN << x }", head="SEEN = []\nM = Mutex.new\n"),
        "a copy": performing("list = SEEN.dup", "list << x", head="SEEN = []\n"),
        "a record": performing("K.update(x)", "K.delete(x)", head="class K < ApplicationRecord\nend\n"),
        "N1": performing("@client ||= Foo.new"),
        "a thread's own": performing("Ctx.tenant = x", head="module Ctx\n  thread_mattr_accessor :tenant\nend\n"),
        "a current attribute": performing(
            "Ctx.tenant = x", head="class Ctx < ActiveSupport::CurrentAttributes\n  attribute :tenant\nend\n"
        ),
        "a setter of one's own": performing(
            "Ctx.tenant = x", head="module Ctx\n  def self.tenant=(x)\n    Thread.current[:x] = x\n  end\nend\n"
        ),
    },
    ruby,
)
RUBY_FAULTS = crossed(
    {
        "counted": performing("@@n += 1"),
        "P3": performing("Shop.client", head="class Shop\n  def self.client = @client ||= Foo.new\nend\n"),
        "P2": performing("@@seen << x"),
        "a constant": performing("SEEN << x", head="SEEN = []\n"),
        "a constant's item": performing("SEEN[x] = 1", head="SEEN = Hash.new(0)\n"),
        "a constant's method": performing("K::SEEN.add(x)", head="class K\n  SEEN = Set.new\nend\n"),
        "P1": (
            "class J\n  include Sidekiq::Job\n  class << self; attr_accessor :cur; end\n"
            "  def perform(i)\n    self.class.cur = i\n  end\nend\n"
        ),
        "an accessor": performing("Ctx.tenant = x", head="module Ctx\n  mattr_accessor :tenant\nend\n"),
        "an accessor, within": performing(
            "Ctx.enter(x)",
            head="class Ctx\n  cattr_accessor :tenant\n  def self.enter(x)\n    self.tenant = x\n  end\nend\n",
        ),
        "a global": performing("$last = x"),
        "an item": performing("@@seen[x] = 1"),
    },
    ruby,
)


@pytest.mark.parametrize("text", FAULTS.values(), ids=FAULTS)
def test_python_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_python("COD002", tmp_path, text).findings

    assert one.severity == ("low" if "Client" in text else "high")


@pytest.mark.parametrize("text", TWINS.values(), ids=TWINS)
def test_python_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_python("COD002", tmp_path, text))


@pytest.mark.parametrize("text", RUBY_FAULTS.values(), ids=RUBY_FAULTS)
def test_ruby_s_faults(tmp_path: Path, text: str) -> None:
    [one] = in_ruby("COD002", tmp_path, text).findings

    assert one.severity == ("low" if "client" in text else "high")


@pytest.mark.parametrize("text", RUBY_TWINS.values(), ids=RUBY_TWINS)
def test_ruby_s_twins(tmp_path: Path, text: str) -> None:
    assert not accused(in_ruby("COD002", tmp_path, text))


def test_one_job_a_process_shares_nothing(tmp_path: Path) -> None:
    text = "from celery import shared_task\nn = 0\n@shared_task\ndef f():\n  global n\n  n += 1\n"

    assert in_python("COD002", tmp_path, text).outcome is Outcome.NOT_APPLICABLE
