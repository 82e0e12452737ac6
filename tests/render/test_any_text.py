"""Whatever text stands in a queue, a file or an error message: every format stays what it is."""

import json
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import html5lib
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, Draft202012Validator
from lxml import etree
from markdown_it import MarkdownIt
from prometheus_client.openmetrics import parser

from kiqdoctor.cli.words.options import FORMATS
from kiqdoctor.cli.words.output import rendered
from kiqdoctor.doctor.report import Report
from kiqdoctor.render import json as as_json

Build = Callable[..., Report]
SCHEMAS = Path(__file__).parent / "schemas"


def schema(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCHEMAS / name).read_text())
    return found


XSD = etree.XMLSchema(etree.parse(SCHEMAS / "junit-10.xsd"))
SARIF = Draft7Validator(schema("sarif-2.1.0.schema.json"))
GITLAB = Draft202012Validator(schema("gitlab-code-quality.schema.json"))
JSON = Draft202012Validator(as_json.schema())


def open_metrics(text: str) -> None:
    families: Callable[[str], Any] = parser.text_string_to_metric_families
    assert list(families(text))


def github(text: str) -> None:
    *commands, summary, _ = text.split("\n")
    assert all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in commands)
    assert summary.startswith("kiqdoctor: ")


def prose(text: str) -> None:
    assert "##vso[" not in text
    assert not re.search(r"^\s*::", text, re.MULTILINE)


def markdown(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    assert {one.type for one in tokens} <= {
        f"{kind}{end}"
        for kind in ("heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td")
        for end in ("_open", "_close")
    } | {"inline"}


VALID: dict[str, Callable[[str], object]] = {
    "json": lambda text: JSON.validate(json.loads(text)),
    "sarif": lambda text: SARIF.validate(json.loads(text)),
    "gitlab": lambda text: GITLAB.validate(json.loads(text)),
    "junit": lambda text: XSD.assertValid(etree.fromstring(text.encode())),
    "html": html5lib.HTMLParser(strict=True).parse,
    "prometheus": open_metrics,
    "github": github,
    "text": prose,
    "markdown": markdown,
}
PIECES = st.sampled_from(
    ["::", "##vso[", "|", "`", "\\", "\n", "]]>", "<b>", "&", '"', "'", "#1", "@a", "\x1b[2J", "{0}"]
)
TEXTS = st.lists(st.one_of(st.text(max_size=20), PIECES), max_size=12).map("".join)


def test_every_format_has_its_validator() -> None:
    assert set(VALID) == set(FORMATS)


@pytest.mark.parametrize("form", FORMATS)
@given(text=TEXTS)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_is_valid(report: Build, form: str, text: str) -> None:
    VALID[form](rendered(report(text), form))


@pytest.mark.parametrize("form", FORMATS)
def test_a_hostile_report_is_valid_and_moves_no_cursor(hostile: Report, form: str) -> None:
    text = rendered(hostile, form)

    VALID[form](text)
    unsafe = {char for char in text if unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}}
    assert unsafe <= {"\n"}
    assert len(text) < 400_000
