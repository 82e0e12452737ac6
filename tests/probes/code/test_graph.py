"""What a job runs: methods by what their objects are known to be; and where the walk ends."""

from pathlib import Path

import pytest
from source import application, read

from kiqdoctor.doctor.facts.code import Code

HEAD = "from kiqdoctor import job\n"


def index(root: Path, **written: str) -> Code:
    return read(application(root, **written), Code)


def reached(found: Code) -> set[str]:
    return {one.name for one in found.functions[: found.reached]}


PYTHON = {
    "what a decorator puts around it": (
        "def timed(g):\n  def inner(*a): x()\n  return inner\ndef x(): pass\n@job\n@timed\ndef f(): pass\n"
    ),
    "super": "class A:\n  def go(self): x()\nclass B(A):\n  def go(self): super().go()\n@job\ndef f(): B().go()\n",
    "an annotated parameter": "class A:\n  def go(self): x()\n@job\ndef f(): g(A())\ndef g(a: A): a.go()\n",
    "one that may be None": "class A:\n  def go(self): x()\n@job\ndef f(): g(A())\ndef g(b: 'A | None'): b.go()\n",
    "a name by its text": "class A:\n  def go(self): x()\n@job\ndef f():\n  a = A()\n  getattr(a, 'go')()\n",
    "what a factory makes": "class A:\n  def go(self): x()\ndef make(): return A()\n@job\ndef f(): make().go()\n",
    "what it says it makes": (
        "class A:\n  def go(self): x()\ndef make() -> A: ...\n@job\ndef f():\n  a = make()\n  a.go()\n"
    ),
    "an attribute of self": (
        "class A:\n  def go(self): x()\nclass B:\n  def __init__(self): self.a = A()\n  def go(self): self.a.go()\n"
        "@job\ndef f(): B().go()\n"
    ),
    "an attribute of the class": (
        "class A:\n  def go(self): x()\nclass B:\n  a = A()\n  def go(self): self.a.go()\n@job\ndef f(): B().go()\n"
    ),
    "what a class leaves to those below": (
        "class A:\n  def go(self): self.step()\n  def step(self): raise NotImplementedError\n"
        "class B(A):\n  def step(self): x()\n@job\ndef f(): A().go()\n"
    ),
    "a base of a task": (
        "import celery\nclass T(celery.Task):\n  def on_failure(self, *a): x()\n"
        "@celery.shared_task(base=T)\ndef f(): pass\n"
    ),
}
NOT_PYTHON = {
    "what a class defines itself": (
        "class A:\n  def go(self): self.step()\n  def step(self): return 1\n"
        "class B(A):\n  def step(self): x()\n@job\ndef f(): A().go()\n"
    ),
    "a decorator's own body": "def timed(g):\n  x()\n  return g\n@job\n@timed\ndef f(): pass\n",
    "a method of another's name": "class A:\n  def go(self): x()\n@job\ndef f(a): a.go()\n",
}


@pytest.mark.parametrize("text", PYTHON.values(), ids=PYTHON)
def test_what_a_job_in_python_runs(tmp_path: Path, text: str) -> None:
    assert "shop.x" in reached(index(tmp_path, shop_DOT_py=HEAD + "def x(): pass\n" + text))


@pytest.mark.parametrize("text", NOT_PYTHON.values(), ids=NOT_PYTHON)
def test_what_it_does_not_run(tmp_path: Path, text: str) -> None:
    assert "shop.x" not in reached(index(tmp_path, shop_DOT_py=HEAD + "def x(): pass\n" + text))


TOOL = "class Tool\n  def go; end\n  def self.make = new\nend\n"
RUBY = {
    "a local variable": "def perform\n tool = Tool.new\n tool.go\nend",
    "one that is set later": "def perform\n tool ||= Tool.new(1)\n tool.go\nend",
    "a variable of the object": "def initialize\n @tool = Tool.new\nend\ndef perform = @tool.go",
    "a memoised method": "def perform = tool.go\ndef tool = @tool ||= Tool.new",
    "a method that returns it": "def perform\n tool.go\nend\ndef tool\n  Tool.new\nend",
    "a factory of its class": "def perform = Tool.make.go",
    "a reader": "attr_reader :tool\ndef initialize\n @tool = Tool.new\nend\ndef perform = tool.go",
    "what is sent": "def perform = Tool.new.public_send(:go)",
    "a method object": "def perform = [1].each(&Tool.new.method(:go))",
    "delegation": "delegate :go, to: :tool\ndef perform = go\ndef tool = Tool.new",
    "forwarding": "def_delegators :@tool, :go\ndef initialize\n @tool = Tool.new\nend\ndef perform = go",
    "another name": "alias_method :run, :work\ndef perform = run\ndef work = Tool.new.go",
    "an alias": "alias run work\ndef perform = run\ndef work = Tool.new.go",
    "what is defined by a block": "define_method(:run) { Tool.new.go }\ndef perform = run",
    "super": "prepend(Module.new)\ninclude Above\ndef perform = super",
    "the class's own": "def self.run = Tool.new.go\ndef perform = self.class.run",
    "a concern's class methods": "include Concerned\ndef perform = self.class.listed",
    "one by block": "include Concerned\ndef perform = self.class.blocked",
    "a hook": "sidekiq_retries_exhausted { |job| Tool.new.go }\ndef perform; end",
    "a hook by name": "around_perform :guard\ndef perform; end\ndef guard = Tool.new.go",
    "an iteration": "def each_iteration(x) = Tool.new.go\ndef build_enumerator; end",
    "a record that is found": "def perform(id)\n Tool.find(id).go\nend",
    "a struct": "Own = Struct.new(:x) do\n def work = Tool.new.go\nend\ndef perform = Own.new(1).work",
}
NOT_RUBY = {
    "a local variable of that name": "def perform\n go = 1\n go\nend\ndef go = Tool.new.go",
    "a parameter of that name": "def perform(go)\n go\nend\ndef go = Tool.new.go",
    "a parameter of a block": "def perform\n [1].each { |go| go }\nend\ndef go = Tool.new.go",
    "an unknown object": "def perform(x)\n x.go\nend",
    "a class method of another": "def perform = String.go",
}
AROUND = (
    "module Above\n  def perform = Tool.new.go\nend\n"
    "module Concerned\n  extend ActiveSupport::Concern\n  module ClassMethods\n    def listed = Tool.new.go\n  end\n"
    "  class_methods do\n    def blocked = Tool.new.go\n  end\nend\n"
)


def ruby(root: Path, body: str) -> Code:
    indented = body.replace("\n", "\n  ")
    job = f"class J\n  include Sidekiq::Job\n  {indented}\nend\n"
    return index(root, j_DOT_rb=job, tool_DOT_rb=TOOL, around_DOT_rb=AROUND)


@pytest.mark.parametrize("body", RUBY.values(), ids=RUBY)
def test_what_a_job_in_ruby_runs(tmp_path: Path, body: str) -> None:
    assert "Tool#go" in reached(ruby(tmp_path, body))


@pytest.mark.parametrize("body", NOT_RUBY.values(), ids=NOT_RUBY)
def test_what_ruby_does_not_run(tmp_path: Path, body: str) -> None:
    assert "Tool#go" not in reached(ruby(tmp_path, body))


def test_server_middleware_runs_around_every_job(tmp_path: Path) -> None:
    found = index(
        tmp_path,
        j_DOT_rb="class J\n  include Sidekiq::Job\n  def perform; end\nend\n",
        config__initializers__sidekiq_DOT_rb=(
            "Sidekiq.configure_server do |config|\n  config.server_middleware { |chain| chain.add Counting, 1 }\nend\n"
        ),
        counting_DOT_rb="class Counting\n  def call(*) = yield\nend\n",
    )

    assert reached(found) == {"J#perform", "Counting#call"}


def test_a_job_that_an_ancestor_performs_runs_what_its_class_defines(tmp_path: Path) -> None:
    found = index(
        tmp_path,
        base_DOT_rb="class Base\n  include Sidekiq::Job\n  def perform(id) = work(id)\nend\n",
        j_DOT_rb="class J < Base\n  def work(id); end\nend\n",
    )

    assert ({one.name for one in found.jobs}, reached(found)) == ({"Base", "J"}, {"Base#perform", "J#work"})


@pytest.mark.parametrize(
    ("text", "library"),
    [
        ("class J\n  include Sidekiq::IterableJob\n  def each_iteration(x); end\nend\n", "sidekiq"),
        ("module Sidekiq::Worker\nend\nclass J\n  include Sidekiq::Worker\n  def perform; end\nend\n", "sidekiq"),
        ("class J\n  @queue = :mail\n  def self.perform(id); end\nend\n", "resque"),
        ("class J < Que::Job\n  def run(id); end\nend\n", "que"),
        ("class J\n  include Sneakers::Worker\n  def work(message); end\nend\n", "sneakers"),
    ],
)
def test_jobs_of_other_shapes(tmp_path: Path, text: str, library: str) -> None:
    assert [(one.name, one.library) for one in index(tmp_path, j_DOT_rb=text).jobs] == [("J", library)]


def test_what_is_far_away_and_what_was_not_followed_are_counted(tmp_path: Path) -> None:
    chain = "".join(f"def g{number}(): g{number + 1}()\n" for number in range(40_000))
    found = index(
        tmp_path,
        far_DOT_py=f"{HEAD}@job\ndef f(x):\n  g0()\n  x.go()\n  x.other()\n{chain}class A:\n  def go(self): pass\n",
    )

    assert (found.reached, found.beyond, found.unfollowed) == (33, 39_968, 1)
    assert found.lines == 40_008


def test_ruby_that_is_made_to_hurt(tmp_path: Path) -> None:
    body = f"x = y\n y = x\n x.go\n {'(a || b).' * 200}go\n {' || '.join(['z'] * 2000)}"
    text = f"class J\n include Sidekiq::Job\n def perform\n {body}\n end\n def z = z.z.z\n alias a b\n alias b a\nend\n"

    assert [one.name for one in index(tmp_path, a_DOT_rb=text).jobs] == ["J"]
