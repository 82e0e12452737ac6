"""What each door costs: heavy libraries are imported by what needs them and by nothing else."""

import subprocess
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from functools import cache
from graphlib import CycleError, TopologicalSorter

import grimp
import pytest

from kiqdoctor.render.formats import NAMES

HEAVY = ("redis", "click", "msgspec", "rich", "yaml", "tree_sitter", "textual")


def imported_by(code: str) -> set[str]:
    probe = f"{code}\nimport sys\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    return set(ran.stdout.split()[-len(HEAVY) :]) & set(HEAVY)


def test_the_package_itself_imports_nothing() -> None:
    assert imported_by("import kiqdoctor") == set()


def test_the_version_needs_nothing() -> None:
    code = "import sys; sys.argv = ['kiqdoctor', '--version']\nimport kiqdoctor.__main__ as door; door.main()"
    assert imported_by(code) == set()


@pytest.mark.parametrize("door", ["kiqdoctor.doctor", "kiqdoctor.render.formats.text", "kiqdoctor.render.formats.json"])
def test_judging_and_showing_never_import_a_client(door: str) -> None:
    assert imported_by(f"import {door}") <= {"msgspec"}


def test_the_words_import_no_client_and_no_parser() -> None:
    assert imported_by("import kiqdoctor.cli.check") <= {"click", "msgspec"}


@pytest.mark.parametrize("form", NAMES)
def test_a_format_imports_no_other(form: str) -> None:
    folder = "kiqdoctor.render.formats."
    code = f"import sys; import {folder}{form}; print(*[name for name in sys.modules if name.startswith({folder!r})])"

    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.split() == [folder + form]


@cache
def graph() -> grimp.ImportGraph:
    """Every import of ours, also those inside functions and for types only."""
    return grimp.build_graph("kiqdoctor")


def circle(arrows: Mapping[str, AbstractSet[str]]) -> list[str]:
    """One circle among these arrows, or nothing."""
    try:
        TopologicalSorter(arrows).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found[::-1]
    return []


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


def test_a_circle_is_seen() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"b"}})) == {"b", "c"}


def test_no_module_leads_back_to_itself() -> None:
    arrows = {module: graph().find_modules_directly_imported_by(module) for module in graph().modules}

    assert len(arrows) > 200
    assert circle(arrows) == []


def test_no_room_leads_back_to_itself() -> None:
    arrows: dict[str, set[str]] = {}
    for module in graph().modules:
        others = {room(one) for one in graph().find_modules_directly_imported_by(module)}
        arrows.setdefault(room(module), set()).update(others - {room(module)})

    assert {"kiqdoctor.doctor", "kiqdoctor.runtime", "kiqdoctor.cli"} <= arrows.keys()
    assert circle(arrows) == []
