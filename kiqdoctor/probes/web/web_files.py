"""Where the application's files mount Sidekiq's UI, what guards it there, and how a proxy's files treat it."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.web import Mount, WebFiles, WebLine
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.tree.file import File

UI: Final = regex(r"(?<![\w:])(?:::)?Sidekiq::Web(?![\w:])")
PLAIN: Final = frozenset(
    {
        "draw",
        "scope",
        "namespace",
        "routes",
        "resources",
        "resource",
        "concern",
        "defaults",
        "direct",
        "map",
        "new",
        "app",
    }
    | {"build", "each", "to_prepare", "after_initialize", "configure", "instance_exec", "class_eval", "tap", "lambda"}
)
"""Blocks around a route that ask nobody who he is."""
ASKS: Final = frozenset({"constraints", "constraint", "if", "unless"})
_AUTH: Final = regex(r"Sidekiq::Web\.(?:use|middlewares?|configure)\b|Rack::Auth|\bOmniAuth\b|Warden")
_SESSION: Final = regex(
    r"Rack::Session|Session::(?:Cookie|Cache|ActiveRecord|MemCache|Redis)\w*|\bsession_store\b|enable\s+:sessions|set\s+:sessions"
)
_NO_SESSION: Final = regex(r"config\.api_only\s*=\s*true")
_PRODUCTION: Final = regex(r"if Rails\.env\.production\?|unless Rails\.env\.(?:development|test|local)\?")
_SENDFILE: Final = regex(r"x_sendfile_header\s*=\s*[\"']X-Sendfile[\"']")
_EXTENSION: Final = regex(r"^\s*+location\s++~\*?\s.{0,300}\\\.\(?[^)]{0,200}\b(?:css|js)\b")
NGINX: Final = (
    "**/nginx*.conf",
    "**/nginx/**/*.conf",
    "**/nginx/*.conf",
    "**/*.nginx",
    "**/sites-available/*",
    "**/nginx*.conf.erb",
)


@probe(
    Read("config/routes.rb, config.ru, config/**/*.rb", "", "read once with the source"),
    Read("nginx's files", "", "up to 1 MB each"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def web_files(tree: Tree) -> WebFiles:
    """Every mount, and every line that decides about it."""
    mounts: list[Mount] = []
    lines: list[WebLine] = []
    for file in tree.files(".rb", ".ru"):
        try:
            content = file.content()
            if b"Sidekiq::Web" in content:
                mounts += _mounts(file)
            if file.path.startswith(("config", "lib")) or b"Sidekiq::Web" in content:
                lines += _lines(file)
        except (UnreadableError, UnparsedError):
            continue
    if not mounts:
        raise AbsenceError("no file of the application mounts Sidekiq's web UI")
    paths = tuple(_paths(tree, mounts))
    for file in tree.named(*NGINX):
        try:
            lines += _of_nginx(file, paths)
        except UnreadableError:
            continue
    return WebFiles(tuple(mounts), tuple(lines))


def _lines(file: "File") -> Iterator[WebLine]:
    kinds = (("auth", _AUTH), ("session", _SESSION), ("no-session", _NO_SESSION), ("sendfile", _SENDFILE))
    for number, line in enumerate(file.text().splitlines(), 1):
        if not line.lstrip().startswith("#"):
            yield from (WebLine(file.path, number, what) for what, words in kinds if words.search(line[:1_000]))


def _paths(tree: Tree, mounts: list[Mount]) -> Iterator[str]:
    """What the lines that mount the UI call its place."""
    for mount in mounts:
        file = tree.file(mount.path)
        lines = file.text().splitlines()[mount.line - 1 : mount.line] if file is not None else []
        yield from (found for line in lines for found in _PLACE.findall(line[:1_000]) if found)


def _of_nginx(file: "File", paths: tuple[str, ...]) -> Iterator[WebLine]:
    """Locations by extension that hand nothing to the application, and that no `^~` keeps from the UI."""
    text = file.text()
    found = list(enumerate(text.splitlines(), 1))
    yield from (WebLine(file.path, number, "no-site") for number, line in found if _NO_SITE.match(line))
    first = [prefix.strip("/") for prefix in _PREFIX.findall(text)]
    if any(place == prefix or place.startswith(f"{prefix}/") or prefix.endswith(f"/{place}")
           for place in paths for prefix in first if prefix):  # fmt: skip
        return
    for number, line in found:
        if _EXTENSION.search(line):
            block = "\n".join(one for at, one in found if number <= at <= number + _BLOCK).partition("}")[0]
            if "proxy_pass" not in block and "try_files" not in block:
                yield WebLine(file.path, number, "by-extension")


_NO_SITE: Final = regex(r"""[ \t]*+proxy_set_header\s++Sec-Fetch-Site\s++(?:""|'')\s*+;""", re.IGNORECASE)
_PREFIX: Final = regex(
    r"^[ \t]*+location[ \t]++\^~[ \t]++([^\s{}]{1,500})\s{0,100}\{[^{}]{0,9000}proxy_pass", re.MULTILINE
)
_PLACE: Final = regex(r"""["']/?([\w./-]*)["']""")
_BLOCK: Final = 15  # lines of a location that are looked at


def _mounts(file: "File") -> Iterator[Mount]:
    """Calls of ``mount`` and ``run`` that name the UI, with the blocks around them, carried down."""
    from kiqdoctor.probes.config.guards import short
    from kiqdoctor.probes.tree.ruby import call, text

    rack = file.path.endswith(".ru")
    session = bool(_SESSION.search(file.text()))
    stack: list[tuple[Node, tuple[str, ...]]] = [(file.ruby(), ())]
    while stack:
        node, guards = stack.pop()
        receiver, method, arguments = call(node)
        if method in {"mount", "run"} and any(UI.search(text(one)[:200]) for one in arguments):
            own = [short(text(one)) for one in arguments if "constraint" in text(one)[:40]]
            yield Mount(file.path, node.start_point[0] + 1, (*guards, *own), session or not rack, rack)
            continue
        guard = _guard(node, receiver, method, arguments)
        within = (*guards, short(guard))[-_DEEPEST:] if guard else guards
        stack += [(child, within) for child in reversed(node.children)]


_DEEPEST: Final = 20  # guards around one mount that are told


def _guard(node: "Node", receiver: str, method: str, arguments: "list[Node]") -> str:
    """A condition or a block around what comes below it that may ask who comes; "" for any other."""
    from kiqdoctor.probes.tree.ruby import block, text

    if node.type in {"if", "unless", "if_modifier", "unless_modifier"}:
        guard = f"{node.type.partition('_')[0]} {text(node.child_by_field_name('condition'))}"
        return "" if _PRODUCTION.fullmatch(guard) else guard
    if node.type != "call" or block(node) is None:
        return ""
    told = " ".join(text(one)[:100] for one in arguments)
    if method in PLAIN:
        return told if "constraints" in told else ""
    return f"{receiver}.{method} {told}".lstrip(".")
