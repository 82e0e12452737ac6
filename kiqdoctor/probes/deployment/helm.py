"""Helm's templates with the chart's own values in their places; one that says more than values stays as it is."""

import json
from typing import Final

from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.documents import Table, Value
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.file import LARGEST, File
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

FOLDER: Final = "templates/"
VALUES: Final = "values.yaml"
PRODUCTION: Final = ("values-prod*.yaml", "values.prod*.yaml")
UNTOLD: Final = "${VALUE}"  # what a value that no file says becomes: a variable without a default
_ACTION: Final = regex(r"\{\{-?\s{0,100}(?P<said>[^{}]{1,300}?)\s{0,100}-?\}\}")
_VALUE: Final = regex(r"\.Values((?:\.\w{1,100}){1,20})")
_NAMES: Final = regex(r"\.(?:Release|Chart)\.\w{1,40}|include\s{1,9}\"[^\"]{1,100}\"\s{1,9}[.$]")
_LABELS: Final = regex(r"include\s{1,9}\"[^\"]{0,100}(?:[Ll]abels|[Aa]nnotations)\".{0,100}")
_YAML: Final = regex(r"toYaml\s{1,9}(\.(?:Values[.\w]{1,200})?)\s{0,9}\|\s{0,9}n?indent\s{1,9}(\d{1,2})")
_CALLS: Final = regex(
    r"(?P<does>quote|squote|toJson|toYaml|toString|int|default\s{1,9}(?P<else>\S{1,100}))\s{1,9}(?P<of>\S{1,200})"
)
SHAPES: Final = ("toJson", "toYaml", "quote", "squote")
PLAIN: Final = ("toString", "int", "nindent", "indent")


class _MoreError(Exception):
    """The template says what is not followed."""


def chart_of(file: File, tree: Tree) -> str | None:
    """The folder of the chart whose template this file is, ending in "/" or empty; None where it is none."""
    above, found, _ = f"/{file.path}".rpartition(f"/{FOLDER}")
    folder = f"{above[1:]}/" if above[1:] else ""
    return folder if found and tree.file(f"{folder}Chart.yaml") is not None else None


def filled(file: File, tree: Tree) -> File:
    """The file as its chart's values make it; the file itself where it is no template, or says more than that."""
    try:
        content = file.content()
        folder = chart_of(file, tree) if b"{{" in content else None
        if folder is None:
            return file
        return file.holding(_rendered(file.text(), _values(folder, tree)).encode())
    except (UnreadableError, UnparsedError, _MoreError):
        return file


def _values(folder: str, tree: Tree) -> Table:
    """The chart's defaults, and over them what one file of values for production says."""
    base = tree.file(f"{folder}{VALUES}")
    over = tree.named(*(f"{folder}{name}" for name in PRODUCTION))
    found = Table()
    for file in (*([base] if base is not None else ()), *(over if len(over) == 1 else ())):
        for document in file.yaml()[:1]:
            found = _over(found, document) if isinstance(document, Table) else found
    return found


def _over(under: Table, table: Table) -> Table:
    joined = Table({**under, **table})
    for name, value in table.items():
        below = under.get(name)
        if isinstance(value, Table) and isinstance(below, Table):
            joined[name] = _over(below, value)
    return joined


def _rendered(text: str, values: Table) -> str:
    lines: list[str] = []
    around: list[tuple[bool, Value]] = []  # conditions around a line, and what the dot is in each
    size = 0
    for line in text.splitlines():
        alone = _ACTION.fullmatch(line.strip())
        if alone is not None:
            lines.append(_alone(alone["said"], values, around))
        else:
            lines.append(_inline(line, values) if all(held for held, _ in around) else "")
        size += len(lines[-1]) + 1
        if size > LARGEST:
            raise _MoreError
    if around:
        raise _MoreError
    return "\n".join(lines) + "\n"


def _alone(said: str, values: Table, around: list[tuple[bool, Value]]) -> str:
    """A line that is one action: a condition, or values as YAML. Labels are nobody's command and left out."""
    word, _, rest = said.partition(" ")
    held = all(one for one, _ in around)
    if word == "if":
        around.append((_true(rest.strip(), values), None))
    elif word == "with":
        around.append((_true(rest.strip(), values), _value(rest.strip(), values, usual="")))
    elif said in {"else", "end"} and around:
        last, _ = around.pop()
        around += [(not last, None)] if said == "else" else []
    elif word in {"range", "define", "block"}:
        raise _MoreError
    elif held and (found := _YAML.fullmatch(said)):
        dot = around[-1][1] if around and found[1] == "." else _value(found[1], values)
        return " " * int(found[2]) + json.dumps(dot)
    elif held and not said.startswith("/*") and _LABELS.fullmatch(said) is None:
        raise _MoreError
    return ""


def _true(condition: str, values: Table) -> bool:
    turned = condition.startswith("not ")
    found = _VALUE.fullmatch(condition.removeprefix("not ").strip())
    if found is None:
        raise _MoreError
    return bool(_at(found[1], values)) is not turned


def _inline(line: str, values: Table) -> str:
    if "{{" not in line:
        return line
    said = _ACTION.sub(lambda one: _expression(one["said"], values), line)
    if "{{" in said:
        raise _MoreError
    return said


def _expression(said: str, values: Table) -> str:
    """What an expression becomes; a variable where no file says it."""
    head, *filters = (one.strip() for one in said.split("|"))
    if _NAMES.fullmatch(head):
        return "chart"
    shaped = False
    usual = ""
    call = _CALLS.fullmatch(head)
    if call is not None:
        head, shaped, usual = call["of"], call["does"] in SHAPES, call["else"] or ""
    for one in filters:
        name, _, rest = one.partition(" ")
        shaped |= name in SHAPES
        usual = rest.strip() if name == "default" else usual
        if name not in {*SHAPES, *PLAIN, "default"}:
            raise _MoreError
    found = _VALUE.fullmatch(head)
    if found is None:
        raise _MoreError
    value = _at(found[1], values)
    if value is None or value == "":
        return usual if usual and not usual.startswith(".") else UNTOLD
    if isinstance(value, list | Table) and not shaped:
        raise _MoreError
    written = json.dumps(value)
    return written if shaped or not isinstance(value, str) or "\n" in value else value


def _value(spelt: str, values: Table, usual: Value = None) -> Value:
    found = _VALUE.fullmatch(spelt)
    value = _at(found[1], values) if found is not None else None
    if value is None and usual is None:
        raise _MoreError
    return usual if value is None else value


def _at(path: str, values: Table) -> Value:
    *above, last = path.strip(".").split(".")
    return values.table(*above).get(last)
