"""What each door costs: heavy libraries are imported by what needs them and by nothing else."""

import subprocess
import sys

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
