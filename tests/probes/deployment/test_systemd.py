"""systemd units: ExecStart with its environment; templates and drop-ins."""

from pathlib import Path

from trees import deployed

UNIT = """[Service]
Environment=A=1 "RAILS_MAX_THREADS=9"
ExecStart=-/usr/bin/bundle exec sidekiq \\
  -e production
Restart=always
"""


def test_what_it_starts(tmp_path: Path) -> None:
    [worker] = deployed(tmp_path, {"etc/sidekiq.service": UNIT}).workers

    assert (worker.path, worker.line, worker.concurrency, worker.processes) == ("etc/sidekiq.service", 3, 9, 1)


def test_a_template_does_not_say_how_many(tmp_path: Path) -> None:
    assert [one.processes for one in deployed(tmp_path, {"sidekiq@.service": UNIT}).workers] == [None]


def test_a_drop_in_completes_its_unit(tmp_path: Path) -> None:
    files = {"sidekiq.service": UNIT, "sidekiq.service.d/threads.conf": "[Service]\nEnvironment=RAILS_MAX_THREADS=4\n"}

    assert [(one.path, one.concurrency) for one in deployed(tmp_path, files).workers] == [("sidekiq.service", 4)]


def test_comments_and_other_units(tmp_path: Path) -> None:
    text = "# ExecStart=sidekiq\n; ExecStart=sidekiq\nExecStartPre=sidekiq\nExecStart=\nExecStart=/bin/true\n"

    assert deployed(tmp_path, {"x.service": text, "config/puma.rb": ""}).workers == ()
