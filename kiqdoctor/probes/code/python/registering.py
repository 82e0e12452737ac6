"""How RQ is handed a function, which makes a job of it."""

import ast

from kiqdoctor.probes.code.python.frameworks import FUNCTION, SCHEDULES


def handed(call: ast.Call, dotted: str) -> ast.expr | None:
    """The function that a call of RQ's is handed, by position or as ``func=``."""
    verb = dotted.rpartition(".")[2] if dotted else getattr(call.func, "attr", "")
    if verb not in SCHEDULES:
        return None
    named = next((one.value for one in call.keywords if one.arg in FUNCTION), None)
    return call.args[SCHEDULES[verb]] if named is None and len(call.args) > SCHEDULES[verb] else named
