"""What docs/ has of the code: a page a check, the configuration's schema. `python tests/support/pages.py` writes it."""

from pathlib import Path

from kiqdoctor import probes
from kiqdoctor.cli.words import schema
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.page import page
from kiqdoctor.render.page import markdown

DOCS = Path(__file__).parents[2] / "docs"
FOLDER = DOCS / "checks"
SCHEMA = DOCS / "kiqdoctor.schema.json"
HEAD = """# The checks

Each page is made of the check itself (`python tests/support/pages.py`), and is what `kiqdoctor explain ID` prints.

| check | what it finds | severity at worst | examines |
|---|---|---|---|
"""


def pages() -> dict[str, str]:
    """Each file's name and text; plug-ins that happen to be installed have no page here."""
    checks = ours()
    readers = [probe for probe in probes.every() if probe.read.__module__.startswith("kiqdoctor.")]
    made = [page(check, checks, readers) for check in checks]
    rows = [
        f"| [{one.id} {one.name}]({one.id}.md) | {one.title} | {one.severity} | {' and '.join(one.halves)} |"
        for one in made
    ]
    return {"README.md": HEAD + "\n".join(rows) + "\n", **{f"{one.id}.md": markdown(one) for one in made}}


def ours() -> list[Check]:
    """The checks that have a page."""
    return [check for check in load() if not check.origin]


def main() -> None:
    """Write what is there, remove what is no more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    made = pages()
    for stale in {file.name for file in FOLDER.glob("*.md")} - made.keys():
        (FOLDER / stale).unlink()
    for name, text in made.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    SCHEMA.write_text(schema.text(ours()), encoding="utf-8")


if __name__ == "__main__":
    main()
