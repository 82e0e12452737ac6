"""A check's page: made of the check, without a gap, the same in the terminal and on the docs site."""

import json
import re
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pages
import pytest
from doctoring import kiqdoctor

from kiqdoctor import probes
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.page import Page, numbers, page
from kiqdoctor.render.page import markdown, plain

CHECKS = load()
written = cache(pages.pages)
every = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
HEADINGS = [
    "What it checks",
    "Why it hurts",
    "When it is wrong",
    "Confirm by hand",
    "How to fix",
    "Unknown when",
    "Permissions and cost",
    "Thresholds",
    "Source",
    "Related",
    "Fault test",
]


def made(check: Check) -> Page:
    return page(check, CHECKS, probes.every())


@every
def test_no_part_of_its_page_is_empty(check: Check) -> None:
    assert made(check).gaps == ()


@every
def test_it_says_what_is_read_with_its_permission_and_cost(check: Check) -> None:
    found = made(check)

    assert found.costs or found.given
    assert all(one.what and one.cost for one in found.costs)


@every
def test_its_numbers_are_those_that_it_judges_by(check: Check) -> None:
    shown = {one.name: one.value for one in made(check).thresholds if not one.turnable}

    assert shown == {name: f"{value:g}" for name, value in numbers(check).items()}


@every
def test_its_fault_test_exists(check: Check) -> None:
    assert (Path(__file__).parents[2] / made(check).fault_test).is_file()


@every
def test_markdown_has_every_part_under_a_heading_of_its_own(check: Check) -> None:
    sections = re.split(r"^## ", markdown(made(check)), flags=re.MULTILINE)[1:]

    assert [section.partition("\n")[0] for section in sections] == HEADINGS
    assert all(section.partition("\n")[2].strip() for section in sections)


@every
def test_the_docs_site_has_the_same_page(check: Check) -> None:
    file = pages.FOLDER / f"{check.id}.md"

    assert file.read_text(encoding="utf-8") == written()[file.name], "run `python tests/support/pages.py`"


def test_the_docs_site_has_no_page_of_a_check_that_is_gone() -> None:
    assert {file.name for file in pages.FOLDER.iterdir()} == written().keys()


@pytest.mark.parametrize("part", ["formula", "log", "risk", "undo", "why", "confirm"])
def test_a_page_that_says_nothing_of_a_part_has_a_gap(part: str) -> None:
    changed: dict[str, Any] = {part: " "}

    assert replace(made(CHECKS[0]), **changed).gaps == (part,)


def test_a_number_that_nobody_explains_is_a_gap() -> None:
    check = next(one for one in CHECKS if one.id == "PRO008")
    silent = replace(check, doc=check.doc.replace("- OLD_BEAT:", "- OTHER:"))

    assert made(silent).gaps == ("source of OLD_BEAT",)


def test_causes_and_consequences_name_each_other() -> None:
    related = {check.id: {one.id: one.how for one in made(check).related} for check in CHECKS}

    assert related["RED002"]["RED003"] == "explains this one: look there first"
    assert related["RED003"]["RED002"] == "is explained by this one"


@pytest.mark.parametrize("width", [40, 80])
@every
def test_prose_keeps_within_the_terminal(check: Check, width: int) -> None:
    lines = plain(made(check), width).splitlines()

    wide = [line for line in lines if len(line) > width and not line.startswith("    ")]
    assert all(len(max(line.split(), key=len)) > width - 10 for line in wide if " " in line[2:])


def test_a_terminal_is_shown_no_markup_of_headings_or_links() -> None:
    text = kiqdoctor("explain", "red003").out

    assert text.startswith("RED003 connection-budget-exceeded\nhigh · redis · live and static\n")
    assert "WHAT IT CHECKS\n    W = " in text
    assert "## " not in text
    assert ".md)" not in text


def test_json_is_the_page_as_it_is() -> None:
    found = json.loads(kiqdoctor("explain", "connection-budget-exceeded", "--format", "json").out)

    assert found["id"] == "RED003"
    assert {"what": "TIME", "probe": "server_time", "permission": "+time", "cost": "O(1)"} in found["costs"]


def test_what_is_no_check_is_wrong_usage_with_a_hint() -> None:
    found = kiqdoctor("explain", "RED03")

    assert found.status == 2
    assert found.err == "kiqdoctor: no check is called 'RED03'; did you mean RED003?\n"
