"""What may be asked for is named once, as a field; its option, its key and its variable follow from that."""

from dataclasses import fields
from pathlib import Path

import click
import pytest
from examining import Doctor

from kiqdoctor.cli import check, gate, record
from kiqdoctor.cli.words import configured, flags, options
from kiqdoctor.examining.asked import FLAG, Asked
from kiqdoctor.examining.errors import AskedError

FLAGGED = [one for one in fields(Asked) if FLAG in one.metadata]


def given(command: click.Command, *words: str) -> dict[str, object]:
    return command.make_context(command.name, list(words)).params


@pytest.mark.parametrize("field", FLAGGED, ids=lambda field: field.name)
def test_each_is_an_option_a_key_and_a_field_under_one_name(field: object) -> None:
    word = next(one for one in flags.FLAGS if one.field == getattr(field, "name", ""))

    for command in (check.command, gate.command):
        [option] = [one for one in command.params if one.name == word.field]
        assert option.opts == [f"--{word.name}"]
    assert word.name == "redis" or configured.settings()[word.name].name == word.field
    assert any(one.name == word.field for one in record.command.params) is not word.flag.judges


def test_who_says_nothing_asks_for_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert options.read(given(check.command)) == Asked()


def test_words_come_as_the_field_s_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["--select", "RED, PRO001", "--select", "packages,", "--for", "2", "--checks", ".", "--fail-on", "never"]

    asked = options.read(given(check.command, *words, "--namespace", "shop:", "--redis-limit", "40", "--static"))

    assert asked == Asked(
        select=("RED", "PRO001", "packages"), window_s=2.0, checks=(Path(),), fail_on=None, namespace="shop",
        redis_limit=40, static=True,
    )  # fmt: skip


@pytest.mark.parametrize("words", [("--static", "--live"), ("--embedded", "--redis", "redis://somewhere")])
def test_what_excludes_each_other_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(AskedError, match="exclude each other"):
        options.read(given(check.command, *words))


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "soon"])
def test_a_number_is_one(doctor: Doctor, number: str) -> None:
    ran = doctor("check", "--for", number)

    assert (ran.status, len(ran.err.splitlines())) == (2, 1)
