"""How RQ is handed a function, which makes a job of it."""

import ast
from typing import Final

REGISTERS: Final = {"enqueue": 0, "enqueue_call": 0, "enqueue_in": 1, "enqueue_at": 1}
"""RQ's ways to enqueue a function, and where it stands among the arguments."""
QUEUES: Final = frozenset({"rq", "django_rq", "flask_rq2", "rq_scheduler"})


def handed(call: ast.Call, dotted: str) -> ast.expr | None:
    """The function that a call of RQ's is handed, by position or as ``func=``."""
    verb = dotted.rpartition(".")[2] if dotted else getattr(call.func, "attr", "")
    if verb not in REGISTERS:
        return None
    named = next((one.value for one in call.keywords if one.arg in {"func", "f"}), None)
    return call.args[REGISTERS[verb]] if len(call.args) > REGISTERS[verb] else named
