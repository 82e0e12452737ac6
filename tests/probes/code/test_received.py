"""What a job in Ruby is handed is followed: records by Active Job, commands by their names."""

from pathlib import Path

import pytest
from judging import accused, judged

HEAD = "class ApplicationJob < ActiveJob::Base\nend\n"
JOB = HEAD + "class Fill < ApplicationJob\n  def perform(repo, deep = true)\n    repo.fill!\n  end\nend\n"
MODEL = "class Repo < ApplicationRecord\n  def fill!\n    Dir.chdir(path)\n  end\n{}end\n"
SELF = "  after_commit :later\n  def later\n    {}\n  end\n"


def _said(root: Path, *, job: str = JOB, **written: str) -> bool:
    return accused(judged("COD007", root, app__jobs__fill_DOT_rb=job, **written))


@pytest.mark.parametrize(
    ("line", "led"),
    [
        ("Fill.perform_later(self)", True),
        ("Fill.set(wait: 5).perform_later(self, false)", True),
        ("Fill.perform_now(Repo.find(1))", True),
        ("repo = Repo.find(1)\n    Fill.perform_later(repo)", True),
        ("Fill.send(:perform_later, self)", True),
        ("Fill.perform_later(id)", False),
        ("Fill.perform_later(1, self)", False),
        ("Fill.perform_later(*self)", False),
        ("Fill.perform_later(repo: self)", False),
        ("Other.perform_later(self)", False),
        ("Fill.perform_async(self)", False),
    ],
)
def test_a_record(tmp_path: Path, line: str, *, led: bool) -> None:
    assert _said(tmp_path, app__models__repo_DOT_rb=MODEL.format(SELF.format(line))) is led


def test_of_two_classes_each_is_followed(tmp_path: Path) -> None:
    other = "class Fork < ApplicationRecord\n  def go = Fill.perform_later(self)\n  def fill! = nil\nend\n"
    repo = MODEL.format(SELF.format("Fill.perform_later(self)"))

    assert _said(tmp_path, app__models__fork_DOT_rb=other, app__models__repo_DOT_rb=repo)
    assert not _said(tmp_path / "twin", app__models__fork_DOT_rb=other, app__models__repo_DOT_rb=MODEL.format(""))


def test_a_parameter_that_is_set_is_what_it_is_set_to(tmp_path: Path) -> None:
    job = JOB.replace("    repo.fill!", "    repo = repo.owner\n    repo.fill!")
    repo = MODEL.format(SELF.format("Fill.perform_later(self)"))

    assert not _said(tmp_path, job=job, app__models__repo_DOT_rb=repo)


DEFERRED = HEAD + (
    "class Run < ApplicationJob\n  def perform(cmd, *args, **kwargs)\n    {}\n  end\nend\n"
    "module Deferred\n  def defer(*args, wait: nil)\n    Run.set(wait:).perform_later({}, *args)\n  end\nend\n"
    "module Command\n  def self.included(base)\n    base.extend(Deferred)\n  end\nend\n"
)
RUNS = "cmd.constantize.new(*args).call"
COMMAND = "class Move\n  include Command\n  def call\n    Dir.chdir(1)\n  end\nend\n"
CALLER = "class Pages\n  def show\n    {}\n  end\nend\n"


@pytest.mark.parametrize(
    ("runs", "name", "call", "led"),
    [
        (RUNS, "self.name", "Move.defer(1)", True),
        ("one = cmd.constantize.new(*args)\n    one.()", "name", "Move.defer(1)", True),
        ("Object.const_get(cmd).new(*args).call", "self.to_s", "Move.defer(1)", True),
        (RUNS, "'Move'", "x", True),
        (RUNS, "Move.name", "x", True),
        (RUNS, "self.name", "x", False),
        (RUNS, "self.name", "Other.defer(1)", False),
        (RUNS, "args.first", "Move.defer(1)", False),
        ("cmd.call", "self.name", "Move.defer(1)", False),
    ],
)
def test_a_command_by_its_name(tmp_path: Path, runs: str, name: str, call: str, *, led: bool) -> None:
    written = {"app__commands__move_DOT_rb": COMMAND, "app__pages_DOT_rb": CALLER.format(call)}

    assert _said(tmp_path, job=DEFERRED.format(runs, name), **written) is led


@pytest.mark.parametrize(("handed", "led"), [("self.class.name", True), ("self.class.table", False)])
def test_an_object_names_its_class(tmp_path: Path, handed: str, *, led: bool) -> None:
    base = f"class Base\n  def later\n    Run.perform_async({handed})\n  end\nend\n"
    job = f"class Run\n  include Sidekiq::Job\n  def perform(cmd)\n    {RUNS.replace('*args', '')}\n  end\nend\n"
    command = COMMAND.replace("class Move\n  include Command", "class Move < Base")

    assert _said(tmp_path, job=job, app__base_DOT_rb=base, app__commands__move_DOT_rb=command) is led


@pytest.mark.parametrize(("commands", "led"), [(20, True), (301, False)])
def test_so_many_are_followed(tmp_path: Path, commands: int, *, led: bool) -> None:
    many = "".join(COMMAND.replace("Move", f"Move{number}") for number in range(commands))
    calls = "\n".join(f"Move{number}.defer(1)" for number in range(commands))

    job = DEFERRED.format(RUNS, "self.name")

    assert _said(tmp_path, job=job, app__commands_DOT_rb=many, app__pages_DOT_rb=CALLER.format(calls)) is led
