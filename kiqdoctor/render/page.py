"""A check's own page: as Markdown, as the docs site has it, or for a terminal."""

from collections.abc import Iterator
from textwrap import wrap
from typing import Final

from kiqdoctor.doctor.page import Page
from kiqdoctor.text import clean

WHOLE: Final = 1_000_000  # characters: a page is never cut
Section = tuple[str, str]
"""A heading, and Markdown below it."""


def markdown(page: Page, link: str = "{id}.md") -> str:
    """The whole page as Markdown, as the docs site has it; ``link`` is where another check's page lies."""
    lines = [f"# {page.id} {page.name}", "", page.title, "", f"*{' · '.join(_kinds(page))}*", ""]
    for heading, body in _sections(page, link):
        lines += [f"## {heading}", "", body, ""]
    return clean("\n".join(lines), WHOLE, lines=True)


def plain(page: Page, width: int) -> str:
    """The same for a terminal: no tables, no links, prose wrapped to ``width`` columns."""
    head = (f"{page.id} {page.name}", *_wrapped(" · ".join(_kinds(page)), width))
    lines = [*head, "", *_wrapped(page.title, width), ""]
    for heading, body in _sections(page, ""):
        lines += [heading.upper(), *_wrapped(body.strip("\n"), width), ""]
    return clean("\n".join(lines).rstrip() + "\n", WHOLE, lines=True)


def _kinds(page: Page) -> tuple[str, ...]:
    halves = " and ".join(page.halves)
    origin = (f"from {page.origin}",) if page.origin else ()
    return (page.severity, page.category, halves, *(("preview",) if page.preview else ()), *origin)


def _sections(page: Page, link: str) -> Iterator[Section]:
    """All that there is to say, in the order in which somebody at 3 am wants it."""
    yield "What it checks", f"{_quoted(page.formula)}\n\n{page.found}"
    yield "Why it hurts", f"{page.why}\n\nIn the log: {page.log}"
    yield "When it is wrong", page.wrong
    yield "Confirm by hand", page.confirm
    yield "How to fix", f"{page.fix}\n\nRisk: {page.risk}\n\nUndo: {page.undo}"
    yield "Unknown when", page.unknown
    yield "Permissions and cost", "\n".join(_costs(page))
    yield "Thresholds", "\n".join(_thresholds(page))
    yield "Source", page.source
    yield "Related", "\n".join(_related(page, link))
    yield "Fault test", f"`{page.fault_test}`: the fault, and its healthy twin."


def _quoted(formula: str) -> str:
    """As Markdown's code block: an asterisk of a formula is no emphasis."""
    return "\n".join(f"    {line}" for line in formula.splitlines())


def _costs(page: Page) -> Iterator[str]:
    for one in page.costs:
        permission = f", permission {one.permission}" if one.permission else ""
        cost = f": {one.cost}" if one.cost else ""
        yield f"- {one.what} (probe {one.probe}{permission}){cost}"
    for fact in page.given:
        yield f"- nothing further for {fact}: the examination itself knows it"


def _thresholds(page: Page) -> Iterator[str]:
    if not page.thresholds:
        yield "None: it compares with no number of its own."
    for one in page.thresholds:
        turn = f" Set by `{one.name}` in `[checks.{page.id}]` of kiqdoctor.toml." if one.turnable else ""
        yield f"- {one.name} = {one.value}: {one.source}{turn}"


def _related(page: Page, link: str) -> Iterator[str]:
    if not page.related:
        yield "None."
    for one in page.related:
        name = f"[{one.id} {one.name}]({link.format(id=one.id)})" if link else f"{one.id} {one.name}"
        yield f"- {name} {one.how}"


def _wrapped(text: str, width: int) -> Iterator[str]:
    """Paragraphs and list items wrapped; what is indented stays as it is."""
    for block in _blocks(text):
        if block.startswith("    "):
            yield from block.splitlines()
        else:
            indent = "  " if block.startswith("- ") else ""
            prose = " ".join(block.split())
            yield from wrap(prose, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False) or [
                ""
            ]


def _blocks(text: str) -> Iterator[str]:
    """What is wrapped together: a run of prose, one list item, one indented run, an empty line."""
    block: list[str] = []
    for line in text.splitlines():
        indented = line.startswith("    ")
        if block and (not line or line.startswith("- ") or indented != block[0].startswith("    ")):
            yield "\n".join(block)
            block = []
        if line:
            block.append(line)
        else:
            yield ""
    yield "\n".join(block)
