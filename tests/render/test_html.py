"""HTML: a strict parser finds nothing to mend, a browser nothing to load, a phone nothing to scroll sideways."""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from html import escape
from pathlib import Path

import html5lib
import pytest
from formats import Told, in_prose

from kiqdoctor.doctor.report import Report
from kiqdoctor.render.formats import html
from kiqdoctor.text import LONG, clean

Build = Callable[..., Report]
OURS = frozenset(
    tag
    for tags in (
        ("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "article", "div"),
        ("h1", "h2", "h3", "p", "b", "a", "span", "figure", "figcaption", "svg", "circle", "rect", "text", "details"),
        ("summary", "table", "tbody", "tr", "th", "td"),
    )
    for tag in tags
)
XHTML = re.compile(r"\{[^}]*\}")


def elements(text: str) -> list[tuple[str, dict[str, str]]]:
    """Strictly parsed: the first thing that HTML's own rules call an error is raised."""
    document = html5lib.HTMLParser(strict=True).parse(text)
    return [(XHTML.sub("", one.tag), dict(one.attrib)) for one in document.iter() if isinstance(one.tag, str)]


def valid(text: str) -> None:
    html5lib.HTMLParser(strict=True).parse(text)


def told(text: str) -> Iterator[Told]:
    return in_prose(text)


def test_a_hostile_report_parses_without_an_error_into_elements_of_ours(hostile: Report) -> None:
    found = elements(html.render(hostile))

    assert {tag for tag, _ in found} <= OURS
    assert not [
        name for _, attributes in found for name in attributes if name.startswith("on") or name in {"src", "srcset"}
    ]


def test_a_hostile_report_has_the_elements_of_a_harmless_one(report: Build, hostile: Report) -> None:
    harmless = [tag for tag, _ in elements(html.render(report("harmless")))]

    assert [tag for tag, _ in elements(html.render(hostile))] == harmless


def test_it_loads_nothing_and_runs_nothing(report: Build) -> None:
    found = elements(html.render(report("x")))

    assert not {"script", "link", "img", "iframe", "object"} & {tag for tag, _ in found}
    assert "url(" not in html.STYLE
    assert "@import" not in html.STYLE
    assert any(attributes.get("content") == html.POLICY for tag, attributes in found if tag == "meta")


def test_its_inner_links_lead_somewhere(report: Build) -> None:
    whole = report("x")
    first = whole.results[0]
    findings = tuple(replace(one, related=("TST001", "TST002")) for one in first.findings)
    found = elements(html.render(replace(whole, results=(replace(first, findings=findings), *whole.results[1:]))))
    ids = [attributes["id"] for _, attributes in found if "id" in attributes]

    assert len(ids) == len(set(ids))
    assert {attributes["href"] for tag, attributes in found if tag == "a"} == {"#TST001"}


def test_the_text_is_there_as_text(report: Build) -> None:
    document = html5lib.HTMLParser(strict=True).parse(html.render(report()))

    assert "".join(document.itertext()).count(clean(report().results[0].findings[0].finding.title, LONG)) >= 5


def test_charts_say_in_words_what_they_show(report: Build) -> None:
    labels = [attributes["aria-label"] for tag, attributes in elements(html.render(report("x"))) if tag == "svg"]

    assert len(labels) == 3
    assert "2/3 judged; 1 pass, 1 fail, 1 unknown, 1 not-applicable" in labels
    assert any("▲ high: 2" in label for label in labels)


BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.mark.skipif(BROWSER is None, reason="no chromium here: the page was not looked at in a browser")
@pytest.mark.parametrize("width", [390, 1200])
def test_in_a_browser_nothing_needs_sideways_scrolling(hostile: Report, tmp_path: Path, width: int) -> None:
    page = escape(html.render(hostile), quote=True)
    frame = f'<iframe id="f" style="border:0;width:{width}px;height:800px" srcdoc="{page}"></iframe>'
    measure = (
        "<script>f.onload = () => { const d = f.contentDocument.documentElement;"
        "document.title = [d.scrollWidth, d.clientWidth, f.contentDocument.scripts.length].join(' ') }</script>"
    )
    file = tmp_path / "frame.html"
    file.write_text(f"<!doctype html><meta charset=utf-8><title>nothing</title>{frame}{measure}")
    words = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile"]

    done = subprocess.run(
        [*words, "--virtual-time-budget=10000", "--dump-dom", file.as_uri()],
        capture_output=True,
        timeout=120,
        check=True,
    )

    found = re.search(rb"<title>(\d+) (\d+) (\d+)</title>", done.stdout)
    assert found is not None, done.stdout[:300]
    assert int(found[1]) <= int(found[2])
    assert int(found[3]) == 0
