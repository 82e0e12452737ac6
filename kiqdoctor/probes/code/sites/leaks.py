"""Where jobs' arguments are logged, and where a secret becomes one: by the names that the source gives."""

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Enqueue, Enqueues
from kiqdoctor.doctor.facts.code.habits import Leak, Leaking, Leaks
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.ruby import named, text, walk
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.graph import Unit
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method, Sent

LEVELS: Final = frozenset({"debug", "info", "warning", "warn", "error", "exception", "critical", "fatal", "log"})
PRINTS: Final = frozenset({"print", "puts", "p", "pp"})
LOGGER: Final = regex(r"(?:^|[._])(?:log|logger|logging|LOG|LOGGER|_log|_logger|structlog|loguru)(?:\(\))?$")
SECRET: Final = regex(
    r"(?:^|_)(?:password|passwd|passphrase|secret|secret_key|api_key|apikey|private_key|access_token|auth_token"
    r"|refresh_token|reset_token|api_token|bearer_token|credentials?|ssn)$",
    re.IGNORECASE,
)
"""Names whose value is a secret; a token alone may be a page's or a device's."""
HASHED: Final = regex(r"encrypted|hashed|_hash|digest|_id$|masked|redacted", re.IGNORECASE)
ACTION: Final = regex(r"(?:change|verify|check|rotate|forgot|generate|remove)_", re.IGNORECASE)
"""How the name of something to do begins: ``change_secret`` is none."""
PAYLOAD: Final = regex(r"""\b(?:job|msg|item|payload|job_hash|job_data)\s*\[\s*["':]args["']?\s*\]""")
MASKS: Final = regex(
    r"mask|redact|filter|sanitiz|scrub|digest|hash|len|size|count|class|present|blank|nil\?|bool", re.IGNORECASE
)
LONGEST: Final = 2_000  # characters of a logging call that are looked at
SHOWN: Final = 80


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def leaks(tree: Tree, enqueues: Enqueues) -> Leaks:
    """Of what jobs lead to what is logged; of all enqueues what they hand over."""
    found, partial = sites(tree, _python, _ruby)
    return Leaks((*found, *(leak for one in enqueues.sites for leak in _handed(one))), partial)


def secret(name: str) -> bool:
    """Whether a name says that what it names is one."""
    last = name.rpartition(".")[2]
    return bool(SECRET.search(last)) and not HASHED.search(last) and not ACTION.match(last)


def _handed(one: Enqueue) -> Iterator[Leak]:
    names = [given.name for given in one.arguments if given.shape not in {"none", "flag"}]
    names += [given.text for given in one.arguments if given.shape in {"name", "other"}]
    told = next((name for name in names if name and secret(name)), "")
    if told:
        yield Leak(one.function, one.line, one.column, told.rpartition(".")[2][:SHOWN], Leaking.HANDED)


def _python(index: "Index", function: "Function") -> Iterator[Leak]:
    if isinstance(function.node, ast.Module) or function.number >= index.code.reached:
        return
    logging = [call for call, dotted in function.calls if _logs(dotted, call)]
    given = function.node.args
    job = bool(logging) and _is_job(index, function)
    own = {one.arg for one in (*given.posonlyargs, *given.args, *given.kwonlyargs)}
    rest = (given.vararg, given.kwarg if own <= {"self"} else None)  # beside names ``**kwargs`` are what nobody expects
    spread = {one.arg for one in rest if one is not None} if job else set()
    for call in logging:
        names = {
            part.id
            for one in (*call.args, *(word.value for word in call.keywords))
            for part in _shown(one)
            if isinstance(part, ast.Name)
        }
        texts = {ast.unparse(one) for one in call.args}
        if secrets := sorted(name for name in names & own if secret(name)):
            yield Leak(function.number, *function.at(call), secrets[0], Leaking.NAMED)
        elif (names & spread) or "locals()" in texts or any("self.request.args" in one for one in texts):
            told = sorted(names & spread)[:1] or ["all"]
            yield Leak(function.number, *function.at(call), told[0], Leaking.ALL)


def _is_job(index: "Index", unit: "Unit") -> bool:
    return any(one.function == unit.number for one in index.code.jobs)


def _logs(dotted: str, call: ast.Call) -> bool:
    if dotted in PRINTS or getattr(call.func, "id", "") in PRINTS:
        return True
    func = call.func
    if not isinstance(func, ast.Attribute) or func.attr not in LEVELS:
        return False
    known = dotted.startswith(("logging.", "structlog.", "loguru."))
    return known or bool(LOGGER.search(ast.unparse(func.value)[:SHOWN]))


def _shown(node: ast.expr) -> Iterator[ast.AST]:
    """What of an argument comes out as it is: not what a function masks, measures or asks of it."""
    todo: list[ast.AST] = [node]
    while todo:
        one = todo.pop()
        yield one
        if isinstance(one, ast.Call) and MASKS.search(ast.unparse(one.func)):
            continue
        if isinstance(one, ast.Attribute | ast.Subscript | ast.Compare | ast.Lambda | ast.IfExp):
            continue
        todo += ast.iter_child_nodes(one)


def _ruby(index: "Index", method: "Method") -> Iterator[Leak]:
    if method.body:
        return
    logging = [sent for sent in method.calls if _said(sent)]
    given = named(method.node.child_by_field_name("parameters")) if logging else []
    job = bool(logging) and _is_job(index, method)
    spread = {text(one).lstrip("*&") for one in given if one.type in {"splat_parameter", "hash_splat_parameter"}}
    own = {text(one.child_by_field_name("name") or one) for one in given}
    reached = method.number < index.code.reached
    for sent in logging:
        words = "".join(text(sent.node.child_by_field_name(part))[:LONGEST] for part in ("arguments", "block"))
        names = {text(one) for one in walk(sent.node) if one.type == "identifier" and not _measured(one)}
        if reached and (secrets := sorted(name for name in names & own if secret(name))):
            yield Leak(method.number, *method.at(sent.node), secrets[0], Leaking.NAMED)
        elif PAYLOAD.search(words) or (job and names & spread):
            yield Leak(method.number, *method.at(sent.node), "args", Leaking.ALL)


def _said(sent: "Sent") -> bool:
    last = sent.last
    if last not in LEVELS and last not in PRINTS:
        return False
    owner = text(sent.node.child_by_field_name("receiver"))[:SHOWN]
    return (last in LEVELS and bool(LOGGER.search(owner))) or (not owner and last in PRINTS)


def _measured(node: "Node") -> bool:
    """``password.length`` tells nothing of it."""
    above = node.parent
    asked = text(above.child_by_field_name("method")) if above is not None and above.type == "call" else ""
    return bool(MASKS.search(asked))
