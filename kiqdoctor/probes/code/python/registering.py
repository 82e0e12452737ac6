"""How RQ or a scheduler is handed a function, which makes a job of it."""

import ast
from collections.abc import Mapping

from kiqdoctor.probes.code.python.frameworks import FUNCTION, SCHEDULES


def handed(call: ast.Call, dotted: str, verbs: Mapping[str, int] = SCHEDULES) -> ast.expr | None:
    """The function that a call with one of these verbs is handed, by position or as ``func=``."""
    verb = dotted.rpartition(".")[2] if dotted else getattr(call.func, "attr", "")
    return given_at(call, verbs[verb]) if verb in verbs else None


def given_at(call: ast.Call, place: int) -> ast.expr | None:
    """What stands in this place, or is named as a function."""
    named = next((one.value for one in call.keywords if one.arg in FUNCTION), None)
    return call.args[place] if named is None and len(call.args) > place else named
