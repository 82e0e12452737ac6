"""`kiqdoctor init` writes what it finds, never over what is there, and what it writes can be read."""

import re
import tomllib

import pytest
from examining import Doctor

from kiqdoctor.cli.words import configured

PROCFILE = "web: puma -C config/puma.rb\nworker: bundle exec sidekiq -c 7 -q mailers\n"
LOCK = """GEM
  remote: https://example.org/
  specs:
    sidekiq (7.3.9)

PLATFORMS
  ruby

DEPENDENCIES
  sidekiq
"""
YAML = ":concurrency: 7\n:queues:\n  - mailers\n  - default\n"


@pytest.fixture
def shop(doctor: Doctor) -> Doctor:
    doctor.write(PROCFILE, "Procfile")
    doctor.write(LOCK, "Gemfile.lock")
    doctor.write('source "https://example.org"\ngem "sidekiq"\n', "Gemfile")
    doctor.write(YAML, "config/sidekiq.yml")
    return doctor


def test_it_tells_what_it_found_here(shop: Doctor) -> None:
    ran = shop("init")

    text = (shop.folder / "kiqdoctor.toml").read_text()
    assert (ran.status, ran.err) == (0, "")
    assert "# - sidekiq 7.3.9 in Gemfile.lock\n" in text
    assert re.search(r"^# - a ruby worker in .*concurrency 7", text, re.MULTILINE)


def test_nothing_changes_until_somebody_takes_the_comments_off(shop: Doctor) -> None:
    shop("init")

    text = (shop.folder / "kiqdoctor.toml").read_text()
    assert tomllib.loads(text) == {}
    assert shop.replay().status == 1


def test_each_setting_is_right_once_its_comment_is_off(shop: Doctor) -> None:
    shop("init")
    shop.write('{"schema": "kiqdoctor.baseline/1", "fingerprints": []}', "kiqdoctor-baseline.json")
    (shop.folder / ".venv").mkdir()
    file = shop.folder / "kiqdoctor.toml"
    text = re.sub(r"^#(?=\S)", "", file.read_text(), flags=re.MULTILINE)
    file.write_text(text)
    table = tomllib.loads(text)

    ran = shop.replay(KIQDOCTOR_CONFIG="kiqdoctor.toml")

    assert ran.err == ""
    assert ran.status == 1
    assert table["suppress"][0]["check"] == "RED003"
    assert table["checks"]["RED002"] == {"near": 0.9}
    assert {"fail-on", "select", "redis", "wait"} <= table.keys()
    assert table.keys() - set(configured.SECTIONS) <= configured.settings().keys()


@pytest.mark.parametrize(("name", "text"), [("kiqdoctor.toml", ""), ("pyproject.toml", "[tool.kiqdoctor]\n")])
def test_it_never_overwrites_or_hides_what_is_there(doctor: Doctor, name: str, text: str) -> None:
    file = doctor.write(text, name)

    ran = doctor("init")

    assert ran.status == 2
    assert name in ran.err
    assert len(ran.err.splitlines()) == 1
    assert file.read_text() == text
    assert doctor("init", "--force").status == 0
    assert "# Found here:" in (doctor.folder / "kiqdoctor.toml").read_text()


def test_it_writes_into_the_folder_that_is_named(doctor: Doctor) -> None:
    (doctor.folder / "app").mkdir()

    assert doctor("init", "app").status == 0
    assert (doctor.folder / "app" / "kiqdoctor.toml").exists()


def test_a_folder_that_cannot_be_written_is_one_line(doctor: Doctor) -> None:
    doctor.write("", "app/kiqdoctor.toml/keep")

    ran = doctor("init", "app", "--force")

    assert ran.status == 2
    assert len(ran.err.splitlines()) == 1


def test_hostile_names_stay_in_their_comment(doctor: Doctor) -> None:
    doctor.write('worker: bundle exec sidekiq -q "a\x1b[2J\u2028b"\n', "Procfile")
    doctor("init")

    text = (doctor.folder / "kiqdoctor.toml").read_text()
    assert tomllib.loads(text) == {}
    assert "\x1b" not in text
