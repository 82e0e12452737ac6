"""sidekiq.yml and initializers: threads, queues, capsules."""

from pathlib import Path

import pytest
from trees import deployed

PROCFILE = "worker: bundle exec sidekiq\n"


def test_symbols_queues_and_embedded_ruby(tmp_path: Path) -> None:
    yml = (
        ":concurrency: 7\n:queues:\n  - [mail, 2]\n  - default\n  - low,3\n<% if x %>\n:timeout: <%= 25 %>\n<% end %>\n"
    )

    [worker] = deployed(tmp_path, {"config/sidekiq.yml": yml, "Procfile": PROCFILE}).workers

    assert (worker.path, worker.concurrency, worker.queues) == ("Procfile", 7, ("mail", "default", "low"))


@pytest.mark.parametrize(
    ("text", "threads"),
    [
        ('<%= ENV.fetch("X", 10) %>', 10),
        ('<%= ENV.fetch("X") { 10 } %>', 10),
        ('<%= ENV["X"] || 10 %>', 10),
        ('<%= (ENV["X"] || "10").to_i -%>', 10),
        ('<%= Integer(ENV.fetch("X", "10")) %>', 10),
        ('<%= ENV["X"] %>', None),
        ("<%= Etc.nprocessors * 2 %>", None),
        ("<%= 10 ) ( %>", None),
        ("²", None),
        ("9" * 5000, None),
        ("[5]", None),
        ("true", None),
    ],
)
def test_a_number_in_embedded_ruby(tmp_path: Path, text: str, threads: int | None) -> None:
    files = {"config/sidekiq.yml": f"concurrency: {text}\n", "Procfile": PROCFILE}

    assert [one.concurrency for one in deployed(tmp_path, files).workers] == [threads]
    known = {**files, "Procfile": PROCFILE.replace("bundle", "X=4 bundle")}
    assert [one.concurrency for one in deployed(tmp_path, known).workers] == [4 if "ENV" in text else threads]


def test_a_queue_whose_name_is_computed_is_shown_as_it_is_written(tmp_path: Path) -> None:
    files = {"config/sidekiq.yml": "queues: [mail, crawl_<%= `hostname`.strip %>]\n", "Procfile": PROCFILE}

    assert deployed(tmp_path, files).workers[0].queues == ("mail", "crawl_<%= `hostname`.strip %>")


def test_a_section_for_the_environment(tmp_path: Path) -> None:
    yml = "concurrency: 7\nqueues: [a]\nproduction:\n  concurrency: 20\nstaging:\n  concurrency: 2\n  queues: [b]\n"
    procfile = "a: sidekiq\nb: sidekiq -e staging\nc: RAILS_ENV=staging sidekiq\nd: RAILS_ENV=other sidekiq\n"

    found = deployed(tmp_path, {"config/sidekiq.yml": yml, "Procfile": procfile}).workers

    assert [(one.concurrency, *one.queues) for one in found] == [(20, "a"), (2, "b"), (2, "b"), (7, "a")]


def test_capsules_of_the_file_and_of_the_code(tmp_path: Path) -> None:
    yml = ":concurrency: 22\n:capsules:\n  bulk:\n    :concurrency: 2\n  other: {}\n"
    code = 'Sidekiq.configure_server do |config|\n  config.capsule("single") do |cap|\n'
    code += "    cap.concurrency = 1\n  end\nend\n"
    files = {"config/sidekiq.yml": yml, "Procfile": PROCFILE, "config/initializers/sidekiq.rb": code}

    [worker] = deployed(tmp_path, files).workers

    assert (worker.concurrency, worker.capsules) == (22, (("bulk", 2), ("other", 0), ("single", 1)))


def test_what_an_initializer_sets_comes_last(tmp_path: Path) -> None:
    code = 'Sidekiq.configure_server do |config|\n  config.concurrency = ENV.fetch("T", 11)\nend\n'
    files = {"config/sidekiq.yml": "concurrency: 7\n", "Procfile": "w: sidekiq -c 9\n", "config/a/b.rb": code}

    assert [one.concurrency for one in deployed(tmp_path, files).workers] == [11]
    files["Procfile"] = "w: T=3 sidekiq -c 9\n"
    assert [one.concurrency for one in deployed(tmp_path, files).workers] == [3]


def test_without_any_command_it_is_the_worker(tmp_path: Path) -> None:
    found = deployed(tmp_path, {"config/sidekiq.yml": "concurrency: 7\n"})

    assert [(one.path, one.concurrency, one.processes) for one in found.workers] == [("config/sidekiq.yml", 7, None)]


@pytest.mark.parametrize("text", ["a: [1\n", "\t", "[" * 500])
def test_a_broken_one_is_told(tmp_path: Path, text: str) -> None:
    assert [path for path, _ in deployed(tmp_path, {"config/sidekiq.yml": text}).unreadable] == ["config/sidekiq.yml"]


@pytest.mark.parametrize(
    "text", ["", "5", "[a, b]", "queues: 5", "queues: [[], {a: b}]", "capsules: 5", "capsules: {a: 5}"]
)
def test_strange_ones_say_nothing(tmp_path: Path, text: str) -> None:
    [worker] = deployed(tmp_path, {"config/sidekiq.yml": text, "Procfile": PROCFILE}).workers

    assert (worker.concurrency, worker.queues) == (None, ())


def test_a_swarm_is_as_many_processes_as_it_is_told(tmp_path: Path) -> None:
    compose = "services:\n  a: {command: sidekiqswarm -c 5, environment: {SIDEKIQ_COUNT: 4}, scale: 2}\n"
    compose += "  b: {command: sidekiqswarm}\n"

    assert [one.processes for one in deployed(tmp_path, {"compose.yml": compose}).workers] == [8, None]
