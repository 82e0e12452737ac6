"""docs/guide.md: each of the guide's statements is answered by checks and commands that there are."""

import re
from pathlib import Path

import click

from kiqdoctor.cli import group
from kiqdoctor.doctor.pack import load

GUIDE = Path(__file__).parents[1] / "docs" / "guide.md"
STATEMENTS = 36
ROWS = [line.strip("|").split("|") for line in GUIDE.read_text("utf-8").splitlines() if line.startswith("| ")][1:]


def test_every_statement_has_a_row_and_a_command() -> None:
    assert len(ROWS) == STATEMENTS
    assert all("kiqdoctor " in row[1] for row in ROWS)


def test_the_checks_that_it_names_have_pages() -> None:
    named = set(re.findall(r"\[([A-Z]{3}[0-9]{3})\]\(checks/\1\.md\)", GUIDE.read_text("utf-8")))

    assert named == set(re.findall(r"\b[A-Z]{3}[0-9]{3}\b", GUIDE.read_text("utf-8")))
    assert named <= {check.id for check in load()}


def test_the_commands_and_options_that_it_names_exist() -> None:
    for words in re.findall(r"`kiqdoctor ([a-z]+)([^`]*)`", GUIDE.read_text("utf-8")):
        command = group.get_command(click.Context(group), words[0])
        assert command is not None, words
        known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert set(re.findall(r"--[a-z-]+", words[1])) <= known, words
