"""The one reader of command lines: what a command really starts, and what only names it."""

import shlex

import pytest

from kiqdoctor.probes.deployment.commands import Command, commands

SIDEKIQ = [
    "sidekiq",
    "bundle exec sidekiq",
    "/usr/local/bin/bundle exec bin/sidekiq",
    "exec bundle exec sidekiq",
    "env A=1 bundle exec sidekiq",
    "nice -n 5 bundle exec sidekiq",
    "newrelic-admin run-program bundle exec sidekiq",
    "dumb-init -- bundle exec sidekiq",
    "timeout 30 bundle exec sidekiq",
    "wait-for-it.sh db:5432 -- bundle exec sidekiq",
    "cd /srv/sidekiq && bundle exec sidekiq",
    "rake db:migrate; bundle exec sidekiq",
    "if true; then exec bundle exec sidekiq; fi",
    "bundle exec sidekiq | tee log",
    "su app -c 'bundle exec sidekiq'",
    "sh -c 'cd /app && bundle exec sidekiq'",
    'bash -lc "exec bundle exec sidekiq"',
    """sh -c "sh -c 'bundle exec sidekiq'" """,
]
NOTHING = [
    "",
    "echo sidekiq",
    "pkill -f sidekiq",
    "systemctl restart sidekiq",
    "cp config/sidekiq config/other",
    "cd /srv/sidekiq",
    "tail -f log/sidekiq",
    "gem install sidekiq",
    "bundle exec rake sidekiq",
    "which sidekiq || true",
    "# sidekiq",
    "bundle exec sidekiqctl stop",
    "bundle exec sidekiqmon",
    "kiqdoctor check --live",
    "rails console",
    "celery -A shop beat",
    "celery -A shop flower",
    "rq info",
]


def programs(line: str) -> list[str]:
    return [one.program for one in commands(("sh", "-c", line))]


@pytest.mark.parametrize("line", SIDEKIQ)
def test_what_starts_sidekiq(line: str) -> None:
    assert programs(line) == ["sidekiq"]
    if "&&" not in line and ";" not in line and "|" not in line:
        assert [one.program for one in commands(shlex.split(line))] == ["sidekiq"]


@pytest.mark.parametrize("line", NOTHING)
def test_what_only_names_a_program(line: str) -> None:
    assert programs(line) == []


@pytest.mark.parametrize(
    ("line", "program"),
    [
        ("bundle exec puma -C config/puma.rb", "puma"),
        ("bin/rails server -p 3000", "puma"),
        ("rails s", "puma"),
        ("unicorn_rails -c config/unicorn.rb", "unicorn"),
        ("gunicorn shop.wsgi", "gunicorn"),
        ("ddtrace-run gunicorn shop.wsgi", "gunicorn"),
        ("ddtrace-run python -m gunicorn.app.wsgiapp -c prod.py shop", "gunicorn"),
        ("uwsgi --ini uwsgi.ini", "uwsgi"),
        ("python -m celery -A shop worker", "celery"),
        ("celery --app shop worker -l info", "celery"),
        ("kiqdoctor work shop.jobs", "kiqdoctor"),
        ("python -m kiqdoctor work shop.jobs", "kiqdoctor"),
        ("uv run kiqdoctor work shop.jobs", "kiqdoctor"),
        ("rq worker high", "rq"),
        ("python manage.py rqworker", "rqworker"),
        ("dramatiq shop", "dramatiq"),
        ("python manage.py run_huey", "run_huey"),
        ("bundle exec sidekiqswarm", "sidekiqswarm"),
    ],
)
def test_programs(line: str, program: str) -> None:
    assert programs(line) == [program]


def only(line: str) -> Command:
    [found] = commands(("sh", "-c", line))
    return found


@pytest.mark.parametrize("line", ["sidekiq -c 5", "sidekiq -c5", "sidekiq --concurrency 5", "sidekiq --concurrency=5"])
def test_an_option_however_it_is_written(line: str) -> None:
    assert only(line).option("concurrency") == "5"


def test_options_arguments_and_what_stands_before() -> None:
    found = only("A=1 B='x y' sidekiq -q mail,2 -q default -e staging -v -C config/a.yml --unknown=1 rest")

    assert found.every("queue") == ("mail,2", "default")
    assert (found.option("config"), found.option("environment"), found.option("concurrency")) == (
        "config/a.yml",
        "staging",
        None,
    )
    assert (found.arguments, found.environment) == (("rest",), (("A", "1"), ("B", "x y")))


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("7", 7),
        ("${X:-7}", 7),
        ("${X-7}", 7),
        ("$X", None),
        ("²", None),
        ("9" * 5000, None),
        ("$(nproc)", None),
        ("", None),
    ],
)
def test_numbers_of_options(value: str, number: int | None) -> None:
    """`-c ²` crashed the probe, and with it RED003."""
    amount = only(f"sidekiq -c '{value}'").amount("concurrency")

    assert (amount.given({}) if amount is not None else None) == number


def test_a_variable_is_what_the_environment_says() -> None:
    amount = only("sidekiq -c ${X:-7}").amount("concurrency")

    assert amount is not None
    assert (amount.given({"X": "3"}), amount.given({"X": "many"}), amount.given({})) == (3, None, 7)


@pytest.mark.parametrize(
    "line",
    [
        "sidekiq 'open",
        'sh -c "sh -c \'"',
        "sidekiq -c",
        "sidekiq -c=",
        "a" * 200_000,
        "sh -c " * 50 + "sidekiq",
        "'\n" * 999,
    ],
)
def test_lines_that_are_broken_are_no_crash(line: str) -> None:
    assert all(one.program == "sidekiq" for one in commands(("sh", "-c", line)))


def test_two_programs_of_one_line() -> None:
    assert programs("bundle exec puma & bundle exec sidekiq") == ["puma", "sidekiq"]
