"""Lines of scripts, units and code that call what is of the past (sidekiqctl, USR1), or what deletes (FLUSHALL)."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import ScriptLine, Scripts
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.tree.file import File

SHELLS: Final = (
    "**/*.sh",
    "bin/*",
    "script/*",
    "scripts/*",
    "Procfile",
    "Procfile.*",
    "**/*.service",
    "**/*.monitrc",
    "**/monit*",
    "**/Makefile",
    "**/*.mk",
    "**/Dockerfile",
    "**/Dockerfile.*",
    "**/docker-compose*.yml",
    "**/compose*.yml",
    ".github/workflows/*.yml",
    ".github/workflows/*.yaml",
    ".gitlab-ci.yml",
    ".circleci/config.yml",
    "**/*.conf",
    "**/*.init",
)
MOST: Final = 2_000
_CTL: Final = re.compile(r"(?<![\w/.-])(?:[\w./-]*/)?sidekiqctl\b(?=\s+(?:quiet|stop|start|status)|['\"]|\s*$)")
_SIGNAL: Final = re.compile(
    r"\bkill\s+(?:-s\s+(?:SIG)?|-(?:SIG)?)(USR1|INFO)\b|Process\.kill\W+['\":]*(?:SIG)?(USR1|INFO)\b"
)
_FLUSH: Final = re.compile(r"\b(?:redis-cli|valkey-cli)\b[^|;&#]*\b(flushall|flushdb)\b", re.IGNORECASE)
_CALLED: Final = frozenset({"flushall", "flushdb"})
_BLOCKING: Final = frozenset({"brpop", "blpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax", "blmpop"})
_REDIS: Final = re.compile(r"redis|sidekiq|conn|client|cache|\br\b|\bc\b", re.IGNORECASE)
_COMMENT: Final = re.compile(r"^\s*(?:#|//|;)")


@probe(
    Read("scripts, units, Procfile, Makefile, CI's files", "", "up to 1 MB each"),
    Read("*.rb, *.rake, *.py that speak of flushing or of signals", "", "read once with the source"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def scripts(tree: Tree) -> Scripts:
    """Every such line."""
    found: list[ScriptLine] = []
    seen: set[str] = set()
    for file in (*tree.named(*SHELLS), *tree.files(".rb", ".rake", ".cap", "Rakefile", "Capfile", ".py")):
        if file.path in seen:
            continue
        seen.add(file.path)
        try:
            if len(found) < MOST:
                found += _lines(file)
        except (UnreadableError, UnparsedError):
            continue
    return Scripts(tuple(found[:MOST]), len(seen))


def _lines(file: "File") -> Iterator[ScriptLine]:
    content = file.content()
    plain = content.lower()
    speaks = b"sidekiq" in plain or b"sidekiq" in file.path.lower().encode()
    if speaks and (b"sidekiqctl" in plain or b"kill" in plain):
        yield from _of_the_past(file)
    if file.path.endswith(".rb") and b".call" in plain and (b"pop" in plain or b"blmove" in plain):
        yield from _raw_pops(file)
    if b"flushall" in plain or b"flushdb" in plain:
        if file.path.endswith(".py"):
            yield from _in_python(file)
        elif file.path.endswith((".rb", ".rake", ".cap", "Rakefile", "Capfile")):
            yield from _in_ruby(file)
        for number, line in _written(file):
            if found := _FLUSH.search(line):
                yield ScriptLine(file.path, number, found[1].lower(), place(file.path))


def _raw_pops(file: "File") -> Iterator[ScriptLine]:
    """Blocking commands that a client is not told are blocking; the guard says their own time-out, where it is said."""
    from kiqdoctor.probes.tree.ruby import call, string, text, walk

    for node in walk(file.ruby()):
        _, method, arguments = call(node)
        if method == "call" and arguments and (string(arguments[0]) or "").lower() in _BLOCKING:
            last = text(arguments[-1])
            said = (last,) if re.fullmatch(r"\d{1,6}(?:\.\d{1,3})?", last) else ()
            yield ScriptLine(file.path, node.start_point[0] + 1, "raw-pop", "code", said)


def _written(file: "File") -> Iterator[tuple[int, str]]:
    """Lines that are no comments."""
    for number, line in enumerate(file.text().splitlines(), 1):
        if not _COMMENT.match(line):
            yield number, line[:2_000]


def _of_the_past(file: "File") -> Iterator[ScriptLine]:
    named = "sidekiq" in file.path.lower() or file.path.endswith(".service")
    for number, line in _written(file):
        if _CTL.search(line):
            yield ScriptLine(file.path, number, "sidekiqctl", place(file.path))
        signal = _SIGNAL.search(line)
        if signal is not None and (named or "sidekiq" in line.lower()):
            yield ScriptLine(file.path, number, signal[1] or signal[2], place(file.path))


_DEPLOYS: Final = re.compile(r"deploy|release|production|(?:^|[/_.-])prod(?=[_.-])|rollout")


def place(path: str) -> str:
    """What runs a file, as far as its path says."""
    plain = path.lower()
    if plain.startswith((".github/", ".gitlab-ci", ".circleci/")) and not _DEPLOYS.search(plain):
        return "ci"
    if _DEPLOYS.search(plain) or re.search(
        r"entrypoint|capistrano|procfile|dockerfile|post[-_]?install|\.service$|compose", plain
    ):
        return "deploy"
    if re.search(r"(?:^|/)seeds?(?:\.|/)|(?:^|/)db/", plain):
        return "seed"
    if plain.endswith((".rake", "rakefile")) or "/tasks/" in plain or "/management/commands/" in plain:
        return "task"
    return "code" if plain.endswith((".rb", ".py")) and not plain.startswith(("bin/", "script")) else "script"


def _in_ruby(file: "File") -> Iterator[ScriptLine]:
    from kiqdoctor.probes.config.guards import guarded
    from kiqdoctor.probes.tree.ruby import call, string

    for node, around in guarded(file.ruby()):
        receiver, method, arguments = call(node)
        word = method if method in _CALLED and _REDIS.search(receiver) else ""
        if method == "call" and arguments and (string(arguments[0]) or "").lower() in _CALLED:
            word = (string(arguments[0]) or "").lower()
        if word:
            guards = tuple(around.told()) if around is not None else ()
            yield ScriptLine(file.path, node.start_point[0] + 1, word, place(file.path), guards)


def _in_python(file: "File") -> Iterator[ScriptLine]:
    import ast

    module = file.python()
    stack: list[tuple[ast.AST, tuple[str, ...]]] = [(module, ())]
    while stack:
        node, guards = stack.pop()
        called = node.func if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        if called is not None and called.attr in _CALLED and _REDIS.search(ast.unparse(called.value)[:200]):
            yield ScriptLine(file.path, called.lineno, called.attr, place(file.path), guards)
        within = (
            (*guards, _short(node)) if isinstance(node, ast.If | ast.FunctionDef | ast.AsyncFunctionDef) else guards
        )
        stack += [(child, within[:20]) for child in ast.iter_child_nodes(node)]


def _short(node: object) -> str:
    import ast

    from kiqdoctor.probes.config.guards import short

    return short(ast.unparse(node.test)) if isinstance(node, ast.If) else f"def {getattr(node, 'name', '')}"
