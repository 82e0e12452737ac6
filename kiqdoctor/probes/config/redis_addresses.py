"""Addresses of Redis in the application's files: in the clear over the open internet, or with a password spelt out."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.config import RedisAddress, RedisAddresses
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    import ast
    import re
    from collections.abc import Callable

    from tree_sitter import Node

    from kiqdoctor.probes.tree.file import File

LINES: Final = (
    *(".env", ".env.*", "**/*.env", "Procfile", "Procfile.*", "**/*.service", "**/*.toml", "bin/*", "**/*.sh"),
    *("**/Dockerfile", "**/Dockerfile.*", "config.ru", "config/*.yml.erb"),
)
"""Files in which a line sets a variable, among others that do something else."""
DATA: Final = ("**/*.yml", "**/*.yaml", "app.json", "**/*task*def*.json")
"""Files that hold prose too, where an address counts that is all that its key says."""
SAMPLES: Final = (".example", ".sample", ".template", ".dist")
MOST: Final = 1_000
URL: Final = regex(r"(?P<scheme>rediss?)://(?:(?P<user>[^\s/@'\"]*)@)?(?P<host>[A-Za-z0-9.-]+)(?::\d+)?")
WHOLE: Final = regex(r"(?:^|[\s'\"=,{\[-])$")
DEVELOPED: Final = regex(
    r"(?m)^(?:export )?(?:RAILS|RACK|APP|HANAMI|NODE|FLASK|DJANGO)_ENV=['\"]?(?:development|test)['\"]?\s*$"
)
MANIFEST: Final = regex(r"(?m)^kind:")
LONGEST_LINE: Final = 4_096  # characters; what is longer nobody wrote by hand
REST: Final = regex(r"[^\s'\"]*+['\"]?\s*+(?:[,}\]]+\s*+)?(?:#.*)?$")
PASSWORD: Final = regex(r"\s*:?password:\s*['\"]?(?P<password>[^\s'\"#]+)['\"]?\s*(?:#.*)?$")
LOCAL: Final = regex(
    r"localhost|127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|0\.0\.0\.0|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\."
)
LOOPBACK: Final = regex(r"localhost$|127\.|0\.0\.0\.0")
INSIDE: Final = (
    *("local", "internal", "lan", "svc", "cluster", "example", "test", "localdomain", "home", "corp", "invalid"),
)
PRIVATE_CLOUDS: Final = (".cache.amazonaws.com", ".memorydb.amazonaws.com", ".internal", ".local", ".flycast")
SPEAKS: Final = frozenset({"example.com", "example.org", "example.net", "host", "hostname", "your-host"})
COMPUTED: Final = regex(r"[$<>{}*\[\]()]|%(?![0-9A-Fa-f]{2})")
PLACEHOLDER: Final = regex(
    r"x+|\.+|_*(?:my|your|the|some|a)?[-_]?(?:super|strong|secure)?[-_]?(?:redis|db|dev|test|local)?[-_]?"
    r"(?:pass|passwd|password|pwd|pw|secret|auth|token|key|here|redis|sidekiq|postgres|default|user|admin|root|guest)?"
    r"[-_]?(?:\d{0,4}|here)|change[-_]?(?:me|it|this).{0,20}|replace.{0,30}|your.{0,30}|example.{0,20}|sample.{0,20}"
    r"|foobared|foo|bar|baz|p|todo|dummy|placeholder|(?:dev|test|local)[\w-]{0,20}|123456\d*|qwerty|abc123?",
)
CLIENTS: Final = regex(r"(?:^|\.)(?:Strict)?Redis(?:Cluster)?$|ConnectionPool$|(?:^|\.)Valkey$|RedisClient$")

HOST: Final = regex(r"[A-Za-z0-9.-]+")
HOSTED: Final = regex(
    r"(?:^|\.)(?:Strict)?Redis(?:Cluster)?$|(?:^|\.)Valkey(?:Cluster)?$|(?:^|\.)(?:Blocking)?ConnectionPool$"
    r"|(?:^|\.)Redis(?:Settings|Huey|Broker|Backend)$"
)
"""What takes a host by a word of its own."""
SPEAKING: Final = frozenset({"redis", "valkey", "aioredis", "rediscluster", "arq", "huey", "dramatiq"})
"""Packages whose classes these are."""
ELSEWHERE: Final = frozenset({"connection_class", "unix_socket_path", "connection_pool", "client", "url"})
"""Words beside a host with which it may be spoken to otherwise."""


@probe(
    Read(".env files, units, Dockerfiles, scripts, *.yml, app.json", "", "up to 1 MB each"),
    Read("*.rb, *.py that speak of Redis", "", "read once with the source"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def redis_addresses(tree: Tree) -> RedisAddresses:
    """Every one in what is for production or for nothing in particular."""
    from kiqdoctor.probes.deployment.paths import stage

    found: list[RedisAddress] = []
    seen: set[str] = set()
    ignored = _ignored(tree)
    readers = ((_lines, tree.named(*LINES)), (_data, tree.named(*DATA)), (_code, tree.files(".rb", ".py", ".ru")))
    for read, files in readers:
        for file in files:
            if file.path in seen or not stage(file.path) or file.name.endswith(SAMPLES):
                continue
            seen.add(file.path)
            try:
                if "redis" in file.name.lower() or b"redis" in file.content().lower():
                    found += _told(read(file), ignored=any(map(_fitting(file.path), ignored)))
            except (UnreadableError, UnparsedError):
                continue
    return RedisAddresses(tuple(found[:MOST]), len(seen))


def _told(found: Iterator[RedisAddress], *, ignored: bool) -> Iterator[RedisAddress]:
    """A password in a file that version control leaves out is where passwords belong."""
    import msgspec

    for one in found:
        told = msgspec.structs.replace(one, secret=False) if ignored else one
        if told.secret or (told.public and not told.encrypted):
            yield told


def _ignored(tree: Tree) -> tuple[str, ...]:
    """What .gitignore leaves out, without what it takes back."""
    lines: list[str] = []
    for file in tree.named(".gitignore"):
        try:
            lines += [line.strip() for line in file.text().splitlines()]
        except UnreadableError:
            continue
    back = {line[1:] for line in lines if line.startswith("!")}
    kept = (line for line in lines if line and not line.startswith(("#", "!")) and line not in back)
    return tuple(islice(kept, MOST))  # each is held against each file


def _fitting(path: str) -> "Callable[[str], bool]":
    def fits(pattern: str) -> bool:
        plain = pattern.strip("/").removeprefix("**/")
        return (
            fnmatchcase(path, plain)
            or fnmatchcase(path, f"{plain}/*")
            or ("/" not in plain and fnmatchcase(path.rpartition("/")[2], plain))
        )

    return fits


# -- lines ---------------------------------------------------------------------------------------------------------


def _lines(file: "File") -> Iterator[RedisAddress]:
    said = DEVELOPED.search(file.text())
    trial = f"it says {said[0].strip()}" if said else ""
    for number, line in _numbered(file):
        yield from (_address(found, file.path, number, trial) for found in URL.finditer(line))


def _data(file: "File") -> Iterator[RedisAddress]:
    import msgspec

    trial, manifest = _trial(file), MANIFEST.search(file.text()) is not None
    named = "redis" in file.name.lower()
    for number, line in _numbered(file):
        for found in URL.finditer(line):
            if WHOLE.search(line[: found.start()]) and REST.match(line[found.end() :]):
                address = _address(found, file.path, number, trial)
                in_cluster = manifest and found["host"].count(".") == 1  # SERVICE.NAMESPACE
                yield msgspec.structs.replace(address, public=False) if in_cluster else address
        said = PASSWORD.match(line) if named else None
        if said is not None and _spelt(said["password"]):
            yield RedisAddress(file.path, number, "", password=True, secret=True, trial=trial)


def _numbered(file: "File") -> Iterator[tuple[int, str]]:
    for number, line in enumerate(file.text().splitlines(), 1):
        if len(line) <= LONGEST_LINE and not line.lstrip().startswith("#"):
            yield number, line


def _trial(file: "File") -> str:
    """Why a compose file is how somebody develops."""
    from kiqdoctor.probes.deployment.compose import NAMES, trial
    from kiqdoctor.probes.tree.documents import Table

    if not any(fnmatchcase(file.path, name.replace("**/", "*")) for name in NAMES):
        return ""
    services = [document.table("services") for document in file.yaml() if isinstance(document, Table)]
    return next((why for one in services for name in one if (why := trial(one.table(name)))), "")


# -- code ----------------------------------------------------------------------------------------------------------


def _code(file: "File") -> Iterator[RedisAddress]:
    content = file.content()
    if not any(word in content for word in (b"://", b"password", b"host", b"Redis(", b"Valkey(")):
        return
    yield from _in_python(file) if file.path.endswith(".py") else _in_ruby(file)


def _in_python(file: "File") -> Iterator[RedisAddress]:
    """Texts that are an address and nothing else, and passwords that a client is handed."""
    import ast

    said: set[ast.AST] = set()  # what stands alone, as a docstring does
    speaks = False
    for node in ast.walk(file.python()):
        speaks = speaks or _speaks(node)
        if isinstance(node, ast.Expr):
            said.add(node.value)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in said:
            yield from _whole(node.value, file.path, node.lineno)
        elif isinstance(node, ast.Call) and (called := _name(node.func)):
            if speaks and HOSTED.search(called):
                yield from _hosted(node, called, file.path)
            for one in node.keywords if CLIENTS.search(called) else ():
                spelt = one.value.value if isinstance(one.value, ast.Constant) else None
                if one.arg == "password" and isinstance(spelt, str) and _spelt(spelt):
                    yield RedisAddress(file.path, one.value.lineno, "", password=True, secret=True)


def _speaks(node: "ast.AST") -> bool:
    """Whether it imports a package that speaks to Redis."""
    import ast

    if isinstance(node, ast.ImportFrom):
        return not node.level and (node.module or "").partition(".")[0] in SPEAKING
    return isinstance(node, ast.Import) and any(one.name.partition(".")[0] in SPEAKING for one in node.names)


def _hosted(call: "ast.Call", called: str, path: str) -> Iterator[RedisAddress]:
    """``Redis(host="...")`` of a host that is spelt out, where nothing beside it may mean TLS."""
    import ast

    words = {one.arg: one.value for one in call.keywords}
    first = call.args[0] if call.args and called.rpartition(".")[2] in {"Redis", "StrictRedis", "Valkey"} else None
    host = words.get("host", first)
    plain = words.pop("ssl", None)
    if None in words or not ELSEWHERE.isdisjoint(words) or not isinstance(host, ast.Constant):
        return
    if plain is not None and not (isinstance(plain, ast.Constant) and plain.value is False):
        return
    if isinstance(host.value, str) and HOST.fullmatch(host.value):
        password = words.get("password")
        told = password is not None and not (isinstance(password, ast.Constant) and not password.value)
        yield RedisAddress(path, host.lineno, clean(host.value), public=not is_inside(host.value), password=told)


def _name(node: "ast.expr") -> str:
    import ast

    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def _in_ruby(file: "File") -> Iterator[RedisAddress]:
    from kiqdoctor.probes.tree.ruby import call, string, text

    stack: list[tuple[Node, bool]] = [(file.ruby(), False)]
    while stack:
        node, inside = stack.pop()
        receiver, method, _ = call(node)
        left = text(node.child_by_field_name("left")) if node.type == "assignment" else ""
        inside = inside or (method == "new" and bool(CLIENTS.search(receiver.replace("::", "."))))
        inside = inside or left.endswith(".redis") or "REDIS" in left
        if node.type == "string":
            yield from _whole(string(node) or "", file.path, node.start_point[0] + 1)
        elif node.type == "pair" and inside and string(node.child_by_field_name("key")) == "password":
            value = node.child_by_field_name("value")
            if value is not None and value.type == "string" and _spelt(string(value) or ""):
                yield RedisAddress(file.path, value.start_point[0] + 1, "", password=True, secret=True)
        stack += [(child, inside) for child in reversed(node.children)]


def _whole(said: str, path: str, line: int) -> Iterator[RedisAddress]:
    found = URL.match(said)
    if found is not None and not any(sign.isspace() for sign in said):
        yield _address(found, path, line)


# -- addresses -----------------------------------------------------------------------------------------------------


def _address(found: "re.Match[str]", path: str, line: int, trial: str = "") -> RedisAddress:
    host, password = found["host"], (found["user"] or "").partition(":")[2]
    return RedisAddress(
        path,
        line,
        clean(host),
        public=not is_inside(host),
        encrypted=found["scheme"] == "rediss",
        password=bool(found["user"]),
        secret=_spelt(password) and not LOOPBACK.match(host.lower()),
        trial=trial,
    )


def _spelt(password: str) -> bool:
    """Whether it is one that somebody could use: no variable, no word that stands for one."""
    return bool(password) and not COMPUTED.search(password) and not PLACEHOLDER.fullmatch(password.lower())


def is_inside(host: str) -> bool:
    """A name or address that nobody reaches from the open internet, or that means nobody."""
    plain = host.lower().rstrip(".")
    if LOCAL.match(plain) or "." not in plain or plain in SPEAKS or plain.endswith(PRIVATE_CLOUDS):
        return True
    last = plain.rpartition(".")[2]
    if "-" in last and not last.startswith("xn--"):  # a namespace: no domain ends so
        return True
    return last in INSIDE or any(f".{part}." in f".{plain}." for part in ("svc", "internal", "example"))
