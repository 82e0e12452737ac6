"""A second address or namespace is refused: the one that is dropped would pass as examined."""

import pytest
from examining import Doctor

COMMANDS = ("check", "gate", "why JID", "whatif", "record FILE", "top --plain", "acl", "serve", "dump 1", "work")


@pytest.mark.parametrize(
    ("command", "option"),
    [
        (command, option)
        for command in COMMANDS
        for option in ("redis", "namespace")
        if option == "namespace" or command not in {"check", "gate"}  # which take several Redis
    ],
)
def test_no_second_is_taken_in_silence(doctor: Doctor, command: str, option: str) -> None:
    ran = doctor(*command.split(), f"--{option}", "redis://:hunter2@localhost:1/0", f"--{option}=redis://localhost:1/1")

    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"kiqdoctor: --{option} is given 2 times; a run takes one\n"


def test_a_second_that_is_another_option_s_value_is_none(doctor: Doctor) -> None:
    ran = doctor("check", "--redis", "redis://localhost:1/0", "--select", "--redis", "--plan")

    assert "is given" not in ran.err
