"""The JSON Schema of the configuration, made of what the commands and the checks themselves declare."""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import click

from kiqdoctor.cli.words.configured import settings
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.facts.engine import Suppressions, Threshold
from kiqdoctor.examining.configuration import FOLDERS
from kiqdoctor.examining.decisions import SCOPES, SUPPRESSION_KEYS

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
TITLE: Final = "kiqdoctor.toml, and [tool.kiqdoctor] in pyproject.toml"
_NUMBERS: Final = "numbers"  # of a check that this schema does not know: it has none, or is another pack's
_NONE: Final = "none"  # of a check whose numbers do not differ by that
_SCOPED: Final = {
    "queues": "Numbers for queues whose name matches the glob.",
    "tags": "Numbers for processes whose tag matches the glob.",
}


def text(checks: Sequence[Check]) -> str:
    """As the file in docs/ has it."""
    return json.dumps(document(checks), indent=2, ensure_ascii=True) + "\n"


def document(checks: Sequence[Check]) -> dict[str, Any]:
    """The schema. Only checks that have numbers stand in it; those of others are judged when the file is read."""
    options = {key: option(one) for key, one in sorted(settings().items())}
    numbered = [one for one in checks if one.thresholds]
    return {
        "$schema": DIALECT,
        "title": TITLE,
        "type": "object",
        "additionalProperties": False,
        "properties": {
            **options,
            "checks": {
                "description": "Numbers by check; or, as a list, further folders of checks.",
                "anyOf": [options["checks"], _by_check(numbered, "", {FOLDERS: options["checks"]})],
            },
            **{
                section: {
                    "description": _SCOPED[section],
                    "type": "object",
                    "additionalProperties": _by_check(numbered, scope, {}),
                }
                for section, scope in SCOPES.items()
            },
            "suppress": _suppress(checks),
        },
        "$defs": {
            _NUMBERS: {"type": "object", "additionalProperties": {"type": "number"}},
            _NONE: {"type": "object", "maxProperties": 0},
            **{
                _defined(check, scope): _numbers(numbers)
                for check in numbered
                for scope in ("", *SCOPES.values())
                if (numbers := _turnable(check, scope))
            },
        },
    }


def option(parameter: click.Parameter) -> dict[str, Any]:
    """One option of the command line as it stands in the file."""
    said = {"description": getattr(parameter, "help", None) or "The application's root."}
    default = parameter.default if isinstance(parameter.default, str | int | float) else None
    if default is not None and default != 0:
        said["default"] = default
    if getattr(parameter, "is_flag", False):
        return {**said, "type": "boolean"}
    one = _value(parameter.type)
    return {**said, "anyOf": [one, {"type": "array", "items": one}]} if parameter.multiple else {**said, **one}


def _value(kind: Any) -> dict[str, Any]:
    if type(kind) is click.Choice:  # a format may be a plug-in's, which this schema cannot know
        return {"enum": [str(one) for one in kind.choices]}
    for number, name in ((click.types.IntParamType, "integer"), (click.types.FloatParamType, "number")):
        if isinstance(kind, number):
            least = getattr(kind, "min", None)
            return {"type": name} if least is None else {"type": name, "minimum": least}
    return {"type": "string", "minLength": 1}


def _by_check(checks: Sequence[Check], scope: str, more: dict[str, Any]) -> dict[str, Any]:
    """A table of tables: each check by id or name, with its numbers."""
    known = {
        name: _ref(_defined(check, scope) if _turnable(check, scope) else _NONE)
        for check in checks
        for name in (check.id, check.name)
    }
    return {"type": "object", "properties": {**more, **known}, "additionalProperties": _ref(_NUMBERS)}


def _turnable(check: Check, scope: str) -> list[Threshold]:
    return [one for one in check.thresholds if not scope or scope in one.per]


def _defined(check: Check, scope: str) -> str:
    """The name of the definition of a check's numbers, or of those that may differ by queue or tag."""
    return f"{check.id}-by-{scope}" if scope else check.id


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def _numbers(thresholds: Iterable[Threshold]) -> dict[str, Any]:
    found = {}
    for one in thresholds:
        most = {} if one.most is None else {"maximum": one.most}
        said = f"{one.meaning} Unit: {one.unit}. Default: {one.source}."
        found[one.name] = {
            "type": "number",
            "description": said,
            "default": one.default,
            "minimum": one.least,
            **most,
        }
    return {"type": "object", "properties": found, "additionalProperties": False}


def _suppress(checks: Sequence[Check]) -> dict[str, Any]:
    watching = [one for one in checks if any(need.kind is Suppressions for need in one.needs)]
    never = [name for one in watching for name in (one.id, one.name)]
    words = {one.name: {"type": "string", "minLength": 1, "description": one.meaning} for one in SUPPRESSION_KEYS}
    return {
        "description": "Findings that do not count for a while.",
        "type": "array",
        "items": {
            "type": "object",
            "properties": {**words, "check": {**words["check"], "not": {"enum": never}}},
            "required": [one.name for one in SUPPRESSION_KEYS if one.required],
            "additionalProperties": False,
        },
    }
