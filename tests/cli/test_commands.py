"""Commands in one process after the other, as tests and embedders run them."""

import pytest
from examining import Doctor

from kiqdoctor.cli import COMMANDS


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_leaves_the_others_as_they_are(doctor: Doctor, name: str) -> None:
    """`list` is a module of the package too, once it was imported, and hides Python's own there."""
    assert doctor(name, "--help").status == 0
    assert doctor("list").status == 0


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("chekc", "kiqdoctor: No such command 'chekc'. Did you mean 'check'?"),
        ("frobnicate", "kiqdoctor: No such command 'frobnicate'. See --help."),
    ],
)
def test_a_command_that_there_is_not_is_one_line(doctor: Doctor, word: str, said: str) -> None:
    found = doctor(word)

    assert found.status == 2
    assert found.err == f"{said}\n"


def test_the_list_of_commands_is_whole_and_nothing_in_it_is_cut(doctor: Doctor) -> None:
    shown = doctor("--help").out.partition("Commands:")[2]

    assert "..." not in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
    for name, said in COMMANDS.items():
        assert f"  {name} " in shown
        assert said in shown, "it fits on a line of its own"
