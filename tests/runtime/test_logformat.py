"""Log lines as Sidekiq's users know them, in text and in JSON."""

import json
import os
import re
from datetime import datetime
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor.clock import boottime
from kiqdoctor.runtime import log
from kiqdoctor.runtime.logformat import FORMATS, Line, json_line, text_line

JOB = {"class": "app.note", "jid": "ab" * 12}
LINE = Line(1_700_000_000.123, 42, "k3x", "INFO", "done", {**JOB, "elapsed": "0.004"})
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
ABOVE_ASCII = st.characters(codec=None)


def test_text_is_sidekiqs() -> None:
    assert text_line(LINE) == (
        "2023-11-14T22:13:20.122Z pid=42 tid=k3x class=app.note jid=abababababababababababab elapsed=0.004 INFO: done\n"
    )


def test_text_without_fields() -> None:
    assert text_line(Line(0.0, 1, "a", "WARN", "x")) == "1970-01-01T00:00:00.000Z pid=1 tid=a WARN: x\n"


@pytest.mark.parametrize("name", FORMATS)
def test_a_failure_that_waits_with_the_others_is_spelt_as_any_line(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    log.flush()
    log.use(name)
    try:
        log.job_done((boottime(), boottime() + 0.125, "k3x", "app.note", "ab" * 12, "fail: Traceback\nValueError: no"))
        log.flush()
    finally:
        log.use("text")
    said = capsys.readouterr().err

    fields = {**JOB, "elapsed": "0.125"}
    told = FORMATS[name](Line(0.0, os.getpid(), "k3x", "WARN", "fail: Traceback\nValueError: no", fields))
    assert re.sub(STAMP, "", said) == re.sub(STAMP, "", told)
    assert re.search(STAMP, said)


def test_json_is_sidekiqs() -> None:
    line = json_line(LINE)

    assert line.endswith("}\n")
    assert list(json.loads(line).items()) == [
        ("ts", "2023-11-14T22:13:20.122Z"),
        ("pid", 42),
        ("tid", "k3x"),
        ("lvl", "INFO"),
        ("msg", "done"),
        ("ctx", {**JOB, "elapsed": "0.004"}),
    ]


def test_json_without_fields_has_no_context() -> None:
    assert "ctx" not in json.loads(json_line(Line(0.0, 1, "a", "WARN", "x")))


def test_both_tell_the_same_time_across_a_second() -> None:
    for now in (1_700_000_000.999, 1_700_000_000.9999999, 1_700_000_001.0):
        line = Line(now, 1, "a", "INFO", "x")
        ts = json.loads(json_line(line))["ts"]
        assert text_line(line).startswith(f"{ts} pid=1 ")
        assert 0 <= now - datetime.fromisoformat(ts).timestamp() < 0.0011


@given(st.text(ABOVE_ASCII), st.dictionaries(st.text(ABOVE_ASCII), st.text(ABOVE_ASCII)))
def test_json_is_one_line_that_parses_whatever_is_said(text: str, fields: dict[str, str]) -> None:
    line = json_line(Line(1.0, 1, "a", "INFO", text, fields))

    assert line.index("\n") == len(line) - 1
    line.encode()
    json.loads(line)


def test_json_spells_a_lone_surrogate() -> None:
    found = json.loads(json_line(Line(1.0, 1, "a", "INFO", "bad \ud800", {"k": "\udcff"})))

    assert (found["msg"], found["ctx"]) == ("bad \\ud800", {"k": "\\udcff"})


def test_fields_may_be_any_mapping() -> None:
    line = Line(1.0, 1, "a", "INFO", "x", MappingProxyType({"k": "v"}))

    assert "k=v INFO: x" in text_line(line)
    assert json.loads(json_line(line))["ctx"] == {"k": "v"}


@pytest.mark.parametrize("name", ["text", "json"])
def test_a_format_has_a_name(name: str) -> None:
    assert FORMATS[name](LINE).endswith("\n")


def test_a_line_stays_as_it_was_said() -> None:
    with pytest.raises(AttributeError):
        LINE.text = "other"  # type: ignore[misc]
