"""Dockerfile: what the last stage's image starts."""

from pathlib import Path

import pytest
from trees import deployed

IMAGE = """FROM ruby AS build
CMD ["bundle", "exec", "sidekiq", "-c", "99"]
FROM ruby
ENV RAILS_MAX_THREADS=3 \\
    # a comment between
    OTHER="x y"
ENV LEGACY a b
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('CMD ["bundle", "exec", "sidekiq"]', 8),
        ("CMD bundle exec sidekiq", 8),
        ('ENTRYPOINT ["bundle", "exec"]\nCMD ["sidekiq"]', 9),
        ("ENTRYPOINT exec bundle exec sidekiq", 8),
        ("CMD cd /app && \\\n  bundle exec sidekiq", 8),
    ],
)
def test_its_command(tmp_path: Path, text: str, line: int) -> None:
    [worker] = deployed(tmp_path, {"Dockerfile": f"{IMAGE}{text}\n"}).workers

    assert (worker.line, worker.concurrency, worker.processes) == (line, 3, None)


@pytest.mark.parametrize("text", ["", "CMD", 'CMD ["sidekiq"', "CMD []", "CMD [5]", "RUN bundle exec sidekiq"])
def test_what_starts_no_worker(tmp_path: Path, text: str) -> None:
    assert deployed(tmp_path, {"Dockerfile": f"{IMAGE}{text}\n", "config/puma.rb": ""}).workers == ()


def test_other_files_say_how_an_image_is_really_run(tmp_path: Path) -> None:
    files = {"Dockerfile": f"{IMAGE}CMD sidekiq\n", "compose.yml": "services: {a: {command: sidekiq -c 4}}\n"}

    assert [(one.path, one.concurrency) for one in deployed(tmp_path, files).workers] == [("compose.yml", 4)]
