"""``kiqdoctor native``: packages with native code, what they link and miss, for which interpreter they were built."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.doctor.facts.native import Extension, NativeCode, NativePackage

SCHEMA = "kiqdoctor.native/1"
HEADS = ("package", "version", "language", "files", "links", "cannot load", "ABI", "without the GIL")
WIDEST = 48  # columns of one cell
WORDS = {True: "declared", False: "no", None: "not declared"}


@click.command("native")
@click.argument("path", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--python", type=click.Path(exists=True, path_type=Path), help="The interpreter or environment to examine."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(*, path: Path | None, python: Path | None, form: str) -> int:
    """List the packages of the application at PATH that hold native code; nothing of it is loaded or run.

    Exit status 0: all that was examined can be loaded. 1: something cannot.
    """
    from kiqdoctor.clock import SYSTEM
    from kiqdoctor.doctor.facts.native import NativeCode
    from kiqdoctor.examining.glance import glance

    found = glance(path or Path(), (NativeCode,), SYSTEM, python).get(NativeCode)
    if not isinstance(found, NativeCode):
        native, why = NativeCode(), found.reason
    else:
        native, why = found, ""
    click.echo(_document(native, why) if form == "json" else _table(native, why))
    return int(any(one.problem or one.missing for one in native.extensions))


def _files(native: "NativeCode") -> "dict[tuple[str, str], list[Extension]]":
    files: dict[tuple[str, str], list[Extension]] = {}
    for one in native.extensions:
        files.setdefault((one.package, one.version), []).append(one)
    return files


def _not_examined(native: "NativeCode", why: str) -> list[str]:
    named = [f"{one}: known from a lock file alone" for one in native.lock_only]
    unread = [f"{path}: {reason}" for path, reason in native.unreadable]
    return [*dict.fromkeys(clean(one) for one in ([why] if why else []) + named + unread)]


def _document(native: "NativeCode", why: str) -> str:
    files = _files(native)
    packages = [
        {
            "name": clean(one.name),
            "version": clean(one.version),
            "language": one.ecosystem,
            "files": [_file(each) for each in files.get((one.name, one.version), [])],
            "free_threading": one.free_threading,
        }
        for one in native.packages
    ]
    document = {
        "schema": SCHEMA,
        "interpreter": native.interpreter or None,
        "packages": packages,
        "not_examined": _not_examined(native, why),
    }
    return json.dumps(document, indent=2)


def _file(one: "Extension") -> dict[str, object]:
    return {
        "path": clean(one.path),
        "needs": [clean(name) for name in one.needed],
        "missing": [clean(name) for name in one.missing],
        "abi": one.abi_tag or None,
        "problem": clean(one.problem) or None,
    }


def _table(native: "NativeCode", why: str) -> str:
    files = _files(native)
    rows = [HEADS, *(_row(one, files.get((one.name, one.version), [])) for one in native.packages)]
    widths = [min(WIDEST, max(len(row[at]) for row in rows)) for at in range(len(HEADS))]
    lines = ["  ".join(_cell(cell, width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    broken = [f"cannot load: {clean(_why(one))}" for one in native.extensions if one.problem or one.missing]
    missing = [f"not examined: {one}" for one in _not_examined(native, why)]
    environment = ", ".join(clean(one) for one in native.environments) or "no installed environment"
    gil = "" if native.gil else ", free-threaded"
    head = f"{environment}{f' ({native.interpreter}{gil})' if native.interpreter else ''}"
    body = lines if native.packages else ["no package with native code was seen"]
    return "\n".join([head, *body, *broken, *missing])


def _cell(text: str, width: int) -> str:
    return (text if len(text) <= width else f"{text[: width - 3]}...").ljust(width)


def _row(one: "NativePackage", files: "list[Extension]") -> tuple[str, ...]:
    links = sorted({name for each in files for name in each.needed if not name.startswith(("libc.", "ld-"))})
    bad = sum(bool(each.problem or each.missing) for each in files)
    abis = sorted({each.abi_tag for each in files if each.abi_tag})
    freedom = WORDS[one.free_threading] if one.ecosystem == "python" else "-"
    count = str(len(files) + one.unopened) if files or one.unopened else "?"
    return (
        clean(one.name), clean(one.version), one.ecosystem, count, clean(", ".join(links)) or "-",
        str(bad) if bad else "-", ", ".join(abis) or "-", freedom,
    )  # fmt: skip


def _why(one: "Extension") -> str:
    return f"{one.path}: {one.problem or 'nothing provides ' + ', '.join(one.missing)}"
