"""Whatever text stands in a queue, a file or an error message: every format stays what it is."""

import unicodedata
from collections.abc import Callable

import pytest
from formats import reader
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiqdoctor.cli.words.output import rendered
from kiqdoctor.doctor.report import Report
from kiqdoctor.render.formats import NAMES

Build = Callable[..., Report]
PIECES = st.sampled_from(
    ["::", "##vso[", "|", "`", "\\", "\n", "]]>", "<b>", "&", '"', "'", "#1", "@a", "\x1b[2J", "{0}"]
)
TEXTS = st.lists(st.one_of(st.text(max_size=20), PIECES), max_size=12).map("".join)


@pytest.mark.parametrize("form", NAMES)
def test_every_format_has_a_test_of_its_own_that_reads_it_back(report: Build, form: str) -> None:
    assert list(reader(form).told(rendered(report("x"), form)))


@pytest.mark.parametrize("form", NAMES)
@given(text=TEXTS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_valid(report: Build, form: str, text: str) -> None:
    reader(form).valid(rendered(report(text), form))


@pytest.mark.parametrize("form", NAMES)
def test_a_hostile_report_is_valid_and_moves_no_cursor(hostile: Report, form: str) -> None:
    text = rendered(hostile, form)

    reader(form).valid(text)
    unsafe = {char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}}
    assert unsafe <= {"\n"}
    assert len(text) < 400_000
