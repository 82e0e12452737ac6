"""Lines of scripts, units and code that call what is of the past (sidekiqctl, USR1), or what deletes (FLUSHALL)."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import ScriptLine, Scripts
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    import ast

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
    "app.json",
    "fly.toml",
    "render.yaml",
    "**/*.yml",
    "**/*.yaml",
)
DATA: Final = (".yml", ".yaml")
MOST: Final = 2_000
_CTL: Final = regex(r"(?<![\w/.-])(?:[\w./-]*/)?sidekiqctl\b(?=\s+(?:quiet|stop|start|status)|['\",]|\s*$)")
_FLAG: Final = regex(
    r"(?:^|\b(?:exec|nohup|env|bin/)|[\"'&]|bundle exec)\s*sidekiq\s[^|;&#]*?(?<=\s)"
    r"(-d|--daemon|-L|--logfile|-P|--pidfile)(?=[\s='\"]|$)"
)
_SIGNAL: Final = regex(
    r"\b(?:p?kill|killall)\b[\s'\",]++(?:-[a-zA-Z](?![\w-])\s++){0,4}"
    r"(?:-s[\s'\",]++|--signal[\s=]++|-n\s++|-)(?:SIG)?(USR1|INFO)\b"
    r"|Process\.kill\W++(?:SIG)?(USR1|INFO)\b"
)
_HELD: Final = regex(r"\s*(?:export\s+|local\s+|readonly\s+)?([A-Za-z_]\w{0,60})\s?=(?!=)")
_WORDS: Final = regex(r"[A-Za-z_]\w*")
_FLUSH: Final = regex(r"\b(?:redis-cli|valkey-cli)\b[^|;&#]{0,300}\b(flushall|flushdb)\b", re.IGNORECASE)
_SAID: Final = regex(r"\b(?:echo|printf)\s(?:(?!\$\()[^;&|`])*$|(?:^|\s)#(?![^'\"]*['\"]).*$")
"""What stands before words that are printed, or behind a comment's sign: nobody runs them."""
_CALLED: Final = frozenset({"flushall", "flushdb"})
_BLOCKING: Final = frozenset({"brpop", "blpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax", "blmpop"})
_REDIS: Final = regex(r"redis|sidekiq|conn|client|cache|\br\b|\bc\b", re.IGNORECASE)
_ENDING: Final = frozenset({"exit", "quit", "sys.exit", "os._exit"})
_IF: Final = regex(r"\s*+(el)?if\s++(.{1,300})")
_ELSE: Final = regex(r"^\s*else\b")
_FI: Final = regex(r"^\s*fi\b")
_LEAVES: Final = regex(r"^\s*(?:exit|return)\b")
_UNLESS: Final = regex(r"^\s*((?:\[|test\s).{0,300}?)\s*(&&|\|\|)\s*(?:exit|return|die)\b")
_COMMENT: Final = regex(r"^\s*(?:#|//|;)")


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
    if (
        file.path.endswith(DATA)
        and b"redis-cli" not in plain
        and b"valkey-cli" not in plain
        and b"sidekiq" not in plain
    ):
        return
    speaks = not _is_manifest(file) and (b"sidekiq" in plain or b"sidekiq" in file.path.lower().encode())
    if speaks and (b"sidekiqctl" in plain or b"kill" in plain or _FLAG.search(file.text())):
        yield from _of_the_past(file)
    if file.path.endswith(".rb") and b".call" in plain and (b"pop" in plain or b"blmove" in plain):
        yield from _raw_pops(file)
    if b"flushall" in plain or b"flushdb" in plain:
        if file.path.endswith(".py"):
            yield from _in_python(file)
        elif file.path.endswith((".rb", ".rake", ".cap", "Rakefile", "Capfile")):
            yield from _in_ruby(file)
        yield from _in_shell(file)


def _is_manifest(file: "File") -> bool:
    """Whether it is Kubernetes': what its hooks send is read with the workers that they end."""
    return file.path.endswith(DATA) and b"\nkind:" in b"\n" + file.content()


def _in_shell(file: "File") -> Iterator[ScriptLine]:
    """Calls of redis-cli, each under the conditions of the shell that are open there."""
    from kiqdoctor.probes.config.guards import short

    open_: list[str] = []  # of `if`s, innermost last
    left: list[str] = []  # what must hold since a line that leaves unless it does
    before = ""
    manifest = _is_manifest(file)
    for number, line in _written(file):
        found = _FLUSH.search(line)
        if found is not None and not _SAID.search(line[: found.start()]):
            here = [line[: found.start()]] if "&&" in line[: found.start()] else []
            guards = tuple(short(one.replace("/dev/null", "")) for one in (*here, *reversed(open_), *left))
            where = "deploy" if manifest else place(file.path)
            yield ScriptLine(file.path, number, found[1].lower(), where, guards[:20])
        if asked := _IF.match(line):
            if asked[1] and open_:
                open_.pop()
            open_.append(asked[2].rstrip().removesuffix("then").rstrip(" ;\t"))
        elif open_ and _ELSE.match(line):
            open_[-1] = f"not {open_[-1]}"
        elif open_ and _FI.match(line):
            condition = open_.pop()
            left += [f"not {condition}"] if _LEAVES.match(before) and not open_ else []
        elif leaves := _UNLESS.match(line):
            left += [leaves[1] if leaves[2] == "||" else f"not {leaves[1]}"] if not open_ else []
        before = line


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


def of_the_past(command: str) -> tuple[str, ...]:
    """Words of the past in a command that is meant for a worker."""
    signal = _SIGNAL.search(command)
    return (("sidekiqctl",) if _CTL.search(command) else ()) + ((signal[1] or signal[2],) if signal else ())


def _of_the_past(file: "File") -> Iterator[ScriptLine]:
    named = "sidekiq" in file.path.lower() or file.path.endswith(".service")
    pids: set[str] = set()  # variables that hold what a line that speaks of Sidekiq gave
    for number, line in _written(file):
        if _CTL.search(line):
            yield ScriptLine(file.path, number, "sidekiqctl", place(file.path))
        if flag := _FLAG.search(line):
            yield ScriptLine(file.path, number, flag[1], place(file.path))
        speaks = named or "sidekiq" in line.lower()
        held = _HELD.match(line)
        if held is not None:
            (pids.add if speaks else pids.discard)(held[1])
        signal = _SIGNAL.search(line)
        if signal is not None and (speaks or not pids.isdisjoint(_WORDS.findall(line))):
            yield ScriptLine(file.path, number, signal[1] or signal[2], place(file.path))


_DEPLOYS: Final = regex(r"deploy|release|production|(?:^|[/_.-])prod(?=[_.-])|rollout")


def place(path: str) -> str:
    """What runs a file, as far as its path says."""
    plain = path.lower()
    if plain.startswith((".github/", ".gitlab-ci", ".circleci/")) and not _DEPLOYS.search(plain):
        return "ci"
    if _DEPLOYS.search(plain) or re.search(
        r"entrypoint|capistrano|fabfile|procfile|dockerfile|app\.json$|fly\.toml$|render\.yaml$|post[-_]?install|\.service$|compose",
        plain,
    ):
        return "deploy"
    if re.search(r"(?:^|/)seeds?(?:\.|/)|(?:^|/)db/", plain):
        return "seed"
    if plain.endswith((".rake", "rakefile")) or "/tasks/" in plain or "/management/commands/" in plain:
        return "task"
    return "code" if plain.endswith((".rb", ".py")) and not plain.startswith(("bin/", "script")) else "script"


def _in_ruby(file: "File") -> Iterator[ScriptLine]:
    from kiqdoctor.probes.config.guards import guarded
    from kiqdoctor.probes.tree.ruby import call, string, text

    for node, around in guarded(file.ruby()):
        receiver, method, arguments = call(node)
        word = method if method in _CALLED and _REDIS.search(receiver) else ""
        if method == "call" and arguments and (string(arguments[0]) or "").lower() in _CALLED:
            word = (string(arguments[0]) or "").lower()
        handed = text(arguments[-1])[:20].removeprefix("&:") if arguments else ""
        if handed in _CALLED and arguments[-1].type == "block_argument" and _REDIS.search(f"{receiver}.{method}"):
            word = handed
        if word:
            guards = tuple(around.told()) if around is not None else ()
            yield ScriptLine(file.path, node.start_point[0] + 1, word, place(file.path), guards)


def _in_python(file: "File") -> Iterator[ScriptLine]:
    import ast

    module = file.python()
    clients = b"redis" in file.content()
    stack: list[tuple[ast.AST, tuple[str, ...]]] = [(module, ())]
    while stack:
        node, guards = stack.pop()
        called = node.func if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else None
        word = called.attr if called is not None else ""
        if word == "execute_command" and isinstance(node, ast.Call) and node.args:
            said = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
            word = said.lower() if isinstance(said, str) else ""
        if called is not None and word in _CALLED and (clients or _REDIS.search(ast.unparse(called.value)[:200])):
            yield ScriptLine(file.path, called.lineno, word, place(file.path), guards)
        stack += [(child, within[:20]) for child, within in _within(node, guards)]


def _within(node: "ast.AST", guards: tuple[str, ...]) -> Iterator[tuple["ast.AST", tuple[str, ...]]]:
    """A node's children, each with what stands around it; after a condition that leaves, its opposite does."""
    import ast

    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        guards = (*guards, f"def {node.name}")
    for field, value in ast.iter_fields(node):
        within = guards
        if isinstance(node, ast.If) and field != "test":
            within = (*guards, _condition(node, negated=field == "orelse"))
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield child, within
            if isinstance(child, ast.If) and _leaves(child):
                within = (*within, _condition(child, negated=True))


def _condition(node: "ast.If", *, negated: bool) -> str:
    import ast

    from kiqdoctor.probes.config.guards import short

    test = node.test
    while isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        test, negated = test.operand, not negated
    return short(f"{'not ' if negated else ''}{ast.unparse(test)}")


def _leaves(node: "ast.If") -> bool:
    import ast

    last = node.body[-1]
    called = last.value.func if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) else None
    ends = isinstance(last, ast.Return | ast.Raise | ast.Continue | ast.Break)
    return not node.orelse and (ends or (called is not None and ast.unparse(called) in _ENDING))
