"""Markdown: whatever a queue is called, a reader gets the headings and tables that we wrote, and the text as text."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from formats import Told, in_prose
from markdown_it import MarkdownIt
from markdown_it.token import Token

from kiqdoctor.doctor.report import Evidence, Finding, Report
from kiqdoctor.render.formats import markdown
from kiqdoctor.text import clean

Build = Callable[..., Report]
STRUCTURE = {
    f"{kind}{end}"
    for kind in ("heading", "paragraph", "table", "thead", "tbody", "tr", "th", "td")
    for end in ("_open", "_close")
} | {"inline"}
READER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def flat(tokens: list[Token]) -> list[Token]:
    return [one for token in tokens for one in (token, *flat(token.children or []))]


def kinds(text: str) -> list[str]:
    return [token.type for token in flat(READER.parse(text)) if token.type not in {"text", "code_inline"}]


def shown(text: str) -> str:
    return "".join(token.content for token in flat(READER.parse(text)) if token.type in {"text", "code_inline"})


def valid(text: str) -> None:
    assert {one.type for one in MarkdownIt("commonmark").enable("table").parse(text)} <= STRUCTURE


def told(text: str) -> Iterator[Told]:
    return in_prose(text)


def test_a_hostile_report_has_the_structure_of_a_harmless_one(report: Build, hostile: Report) -> None:
    assert kinds(markdown.render(hostile)) == kinds(markdown.render(report("harmless")))


def test_no_markup_is_anything_but_ours(hostile: Report) -> None:
    found = set(kinds(markdown.render(hostile)))

    assert not {
        kind for kind in found if kind.startswith(("link", "image", "html", "em", "s_", "list", "fence", "blockq"))
    }


@pytest.mark.parametrize(
    "text", ["a|b", "a\\|b", "`a`", "a`", "``", "\\", "x\\", "@root `|`", "@root`", "\\@root\\", "#1|2"]
)
def test_cells_keep_their_text_and_their_place(report: Build, text: str) -> None:
    whole = report("x")
    first = whole.results[0]
    finding = Finding("redis", "ill", "", (Evidence(text, text, text),))
    one = replace(whole, results=(replace(first, findings=(replace(first.findings[0], finding=finding),)),))
    tokens = READER.parse(markdown.render(one))
    starts = [number for number, token in enumerate(tokens) if token.type == "td_open"]
    cells = [
        "".join(child.content for child in tokens[number + 1].children or []).replace("\u200b", "") for number in starts
    ]

    assert cells[-3:] == [text] * 3


@pytest.mark.parametrize("text", ["@root", "#12", "GH-12", ":tada:", "https://evil.example", "www.evil.example"])
def test_mentions_references_emoji_and_addresses_are_broken_up_outside_of_code(report: Build, text: str) -> None:
    rendered = READER.parse(markdown.render(report(text)))

    prose = [one.content for one in flat(rendered) if one.type == "text"]
    assert not any(text in one for one in prose)
    assert any(text in one.content for one in flat(rendered) if one.type == "code_inline")


def test_the_text_itself_is_there(report: Build) -> None:
    text = "Größe * of [mail] <b> & ~x~ $1$"

    assert shown(markdown.render(report(text))).count(clean(text)) >= 5


def test_a_step_summary_is_never_too_long(report: Build) -> None:
    whole = report("ä" * 1000)
    first = whole.results[0]
    many = replace(whole, results=(replace(first, findings=first.findings * 500), *whole.results[1:]))

    text = markdown.render(many)

    assert 500_000 < len(text.encode()) < 1_000_000
    assert "more findings are in the other formats" in text
    assert "Could not be judged" in text
