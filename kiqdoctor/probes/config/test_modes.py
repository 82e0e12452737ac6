"""Where the application switches a queue library into a mode of tests, and under what conditions."""

import ast
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from kiqdoctor.doctor.facts.config import Switch, TestModes
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.config.guards import Around, guarded, short
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.tree.file import File

RUBY_MARKS: Final = (b"sidekiq/testing", b"Sidekiq::Testing", b"Sidekiq.testing!", b"queue_adapter")
PYTHON_MARKS: Final = (
    b"ALWAYS_EAGER", b"always_eager", b"kiqdoctor.testing", b"immediate",
)  # fmt: skip
RUBY_REQUIRES: Final = frozenset({"sidekiq/testing", "sidekiq/testing/inline"})
RUBY_CALLS: Final = frozenset({"inline!", "fake!"})
ADAPTER: Final = ("active_job.queue_adapter", "ActiveJob::Base.queue_adapter")
ADAPTERS: Final = frozenset({"inline", "test", "async"})
EAGER: Final = regex(
    r"(?:CELERY_)?TASK_ALWAYS_EAGER|CELERY_ALWAYS_EAGER|(?:\w+\.)*task_always_eager|huey\.immediate", re.IGNORECASE
)
HUEY: Final = "huey.immediate"
"""What we call the setting, whoever is given it."""
OFF: Final = frozenset({"", "0", "false", "no", "off", "f", "n", "none"})
OFF_IN_PRODUCTION: Final = "DEBUG is off in production"
BASES: Final = frozenset({"base", "common", "defaults", "default"})


@probe(
    Read("*.rb, *.py, Gemfile that speak of a queue library's test modes", "", "read once with the source"),
    lane=Lane.FILES,
    deadline_s=30.0,
)
def test_modes(tree: Tree) -> TestModes:
    """Every switch, with its guards."""
    found: list[Switch] = []
    unreadable: list[tuple[str, str]] = []
    environ = _environ(tree)
    files = [*tree.named("Gemfile", "config.ru"), *tree.files(".rb", ".py")]
    for file in files:
        try:
            content = file.content()
            if file.path.endswith(".py"):
                if any(mark in content for mark in PYTHON_MARKS):
                    found += _in_python(file, environ)
            elif any(mark in content for mark in RUBY_MARKS):
                found += _in_ruby(file, environ)
        except (UnreadableError, UnparsedError) as error:
            unreadable.append((file.path, str(error)))
    found = [msgspec.structs.replace(one, heirs=_has_heirs(one.path, tree)) for one in found]
    return TestModes(tuple(found), tuple(one for one in unreadable if _speaks(tree, one[0])), len(files))


def _has_heirs(path: str, tree: Tree) -> bool:
    """A base of settings says nothing of production where production's own are not in the tree."""
    folder, _, name = path.rpartition("/")
    if name.partition(".")[0] not in BASES or not folder:
        return True
    return any(_stage(one.path.removeprefix(f"{folder}/")) == "production" for one in tree.named(f"{folder}/*.py"))


def _speaks(tree: Tree, path: str) -> bool:
    file = tree.file(path)
    try:
        return file is not None and any(mark in file.content() for mark in (*RUBY_MARKS, *PYTHON_MARKS))
    except UnreadableError:
        return False


def _environ(tree: Tree) -> Mapping[str, str]:
    """What the files of production say variables are."""
    from kiqdoctor.probes.deployment.derived import derived
    from kiqdoctor.probes.settings.ruby import env_file

    said = {name: value for one in tree.once(derived).running for name, value in one.started.environment}
    return {**env_file(tree), **said}


def _stage(path: str) -> str:
    from kiqdoctor.probes.deployment.paths import stage

    return stage(path).name.lower()


# -- Ruby ----------------------------------------------------------------------------------------------------------


def _in_ruby(file: "File", environ: Mapping[str, str]) -> Iterator[Switch]:
    from kiqdoctor.probes.tree.ruby import call, string, text

    for node, around in guarded(file.ruby()):
        receiver, method, arguments = call(node)
        what = ""
        if method == "require" and not receiver and arguments and string(arguments[0]) in RUBY_REQUIRES:
            what = f'require "{string(arguments[0])}"'
        elif (
            receiver.lstrip(":") == "Sidekiq::Testing"
            and method in RUBY_CALLS
            and node.child_by_field_name("block") is None
        ):
            what = f"Sidekiq::Testing.{method}"
        elif receiver.lstrip(":") == "Sidekiq" and method == "testing!":
            mode = string(arguments[0]) if arguments else "fake"
            what = "" if mode == "disable" else f"Sidekiq.testing!(:{mode})"
        elif method == "gem" and not receiver:
            what = _required(arguments)
        elif node.type == "assignment" and text(node.child_by_field_name("left")).endswith(ADAPTER):
            adapter = string(node.child_by_field_name("right"))
            what = f"queue_adapter = :{adapter}" if adapter else ""
        if what:
            yield _ruby_switch(file, node, around, what, environ, tuple(_groups(method, arguments)))


def _groups(method: str, arguments: "list[Node]") -> Iterator[str]:
    """``gem "x", group: :test`` stands in a group as much as in a block of it."""
    from kiqdoctor.probes.tree.ruby import string, text

    for one in arguments if method == "gem" else ():
        if one.type == "pair" and string(one.child_by_field_name("key")) in {"group", "groups"}:
            yield short(f"group {text(one.child_by_field_name('value')).strip('[]')}")


def _required(arguments: "list[Node]") -> str:
    """``gem "x", require: "sidekiq/testing"``."""
    from kiqdoctor.probes.tree.ruby import string

    for one in arguments:
        if one.type == "pair" and string(one.child_by_field_name("key")) == "require":
            value = one.child_by_field_name("value")
            items = value.named_children if value is not None and value.type == "array" else [value]
            asked = next((asked for item in items if (asked := string(item)) in RUBY_REQUIRES), None)
            return f'require: "{asked}"' if asked else ""
    return ""


def _ruby_switch(
    file: "File",
    node: "Node",
    around: "Around | None",
    what: str,
    environ: Mapping[str, str],
    own: tuple[str, ...] = (),
) -> Switch:
    guards = (*own, *(around.told() if around is not None else ()))
    on, by = _decided(guards, environ)
    if what.startswith("queue_adapter") and what.rpartition(":")[2] not in ADAPTERS:
        on = False
    return Switch(file.path, node.start_point[0] + 1, what, on, guards, _stage(file.path), by)


def _decided(guards: tuple[str, ...], environ: Mapping[str, str]) -> tuple[bool | None, str]:
    """Whether variables that the files of production set make the conditions hold; True where there are none."""
    for guard in guards:
        for name in re.findall(r"""ENV(?:\.fetch\(|\[)\s*["'](\w+)["']""", guard):
            if name in environ:
                on = (environ[name].lower() not in OFF) is not guard.startswith("not ")
                return on, f"{name} is set by the files of production" if on else ""
            return None, ""
    return True, ""


# -- Python --------------------------------------------------------------------------------------------------------


def _in_python(file: "File", environ: Mapping[str, str]) -> Iterator[Switch]:
    module = file.python()
    yield from _statements(module.body, file, environ, (), _fakes(module))


def _fakes(module: ast.Module) -> dict[str, str]:
    """Names by which kiqdoctor's own test modes are called here."""
    names: dict[str, str] = {}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.module == "kiqdoctor.testing":
            names |= {one.asname or one.name: f"kiqdoctor.testing.{one.name}" for one in node.names}
        elif isinstance(node, ast.Import):
            names |= {one.asname or one.name: one.name for one in node.names if one.name == "kiqdoctor.testing"}
    return names


def _statements(
    body: list[ast.stmt], file: "File", environ: Mapping[str, str], guards: tuple[str, ...], fakes: Mapping[str, str]
) -> Iterator[Switch]:
    for node in body:
        if isinstance(node, ast.If):
            test = short(ast.unparse(node.test))
            yield from _statements(node.body, file, environ, (*guards, test), fakes)
            yield from _statements(node.orelse, file, environ, (*guards, f"not {test}"), fakes)
        elif isinstance(node, ast.ClassDef):
            named = f"class {node.name}"
            yield from _statements(node.body, file, environ, (*guards, named), fakes)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(node.body, file, environ, (*guards, f"def {node.name}"), fakes)
        elif isinstance(node, ast.With):
            for item in node.items:
                yield from _in_statement(ast.Expr(item.context_expr), file, environ, guards, fakes)
            yield from _statements(node.body, file, environ, guards, fakes)
        elif isinstance(node, ast.Try):
            yield from _statements(node.body, file, environ, guards, fakes)
        else:
            yield from _in_statement(node, file, environ, guards, fakes)


def _in_statement(
    node: ast.stmt, file: "File", environ: Mapping[str, str], guards: tuple[str, ...], fakes: Mapping[str, str]
) -> Iterator[Switch]:
    stage = _stage(file.path)
    for name, value in _assigned(node):
        if EAGER.fullmatch(name):
            on, by = _truth(value, environ)
            yield Switch(file.path, value.lineno, f"{name} = {short(ast.unparse(value))}", on, guards, stage, by)
    for call in (one for one in ast.walk(node) if fakes and isinstance(one, ast.Call)):
        called = ast.unparse(call.func)
        head, _, tail = called.rpartition(".")
        if fakes.get(called) in MODES or f"{fakes.get(head)}.{tail}" in MODES:
            yield Switch(file.path, call.lineno, f"{called}()", on=True, guards=guards, stage=stage)


MODES: Final = frozenset({"kiqdoctor.testing.fake", "kiqdoctor.testing.inline"})


def _assigned(node: ast.stmt) -> Iterator[tuple[str, ast.expr]]:
    """What a statement sets by name: assignments, keywords of a call, and settings in a mapping."""
    if isinstance(node, ast.Assign):
        yield from (
            (ast.unparse(target), node.value) for target in node.targets if isinstance(target, ast.Name | ast.Attribute)
        )
        if isinstance(node.value, ast.Dict):
            yield from _items(node.value)
            yield from _of_huey(node.targets[0], node.value)
    elif isinstance(node, ast.AnnAssign) and node.value is not None:
        yield ast.unparse(node.target), node.value
    for call in (one for one in ast.walk(node) if isinstance(one, ast.Call)):
        huey = ast.unparse(call.func).endswith("Huey")
        for keyword in call.keywords:
            if keyword.arg:
                yield HUEY if huey and keyword.arg == "immediate" else keyword.arg, keyword.value


def _of_huey(target: ast.expr, settings: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    """``HUEY = {"immediate": True}``, the setting of Django."""
    if getattr(target, "id", "") == "HUEY":
        yield from ((HUEY, value) for name, value in _items(settings) if name == "immediate")


def _items(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, value


def _truth(node: ast.expr, environ: Mapping[str, str]) -> tuple[bool | None, str]:
    """Whether a setting is on in production; with it what decides, where that is a variable."""
    if isinstance(node, ast.Constant):
        return bool(node.value), ""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return _opposite(node.operand, environ)
    text = ast.unparse(node)
    found = re.search(
        r"""(?:environ(?:\.get)?|env(?:\.\w{1,60})?|config|get_bool|env\w{0,60})\s*+[(\[]\s*['"](\w+)['"](.*)""", text
    )
    if found is None:
        return (False, OFF_IN_PRODUCTION) if text.rpartition(".")[2] == "DEBUG" else (None, short(text))
    name, rest = found[1], found[2]
    if name in environ:
        return _holds(environ[name], text), f"{name} is set by the files of production"
    default = re.search(r"""(?:,\s*(?:default\s*=\s*)?)(True|False|None|\d+|['"][^'"]*['"])""", rest)
    if default is None:
        return None, f"{name}, which no file sets"
    return _holds(default[1].strip("'\""), text), f"{name}, by its default"


def _opposite(node: ast.expr, environ: Mapping[str, str]) -> tuple[bool | None, str]:
    if ast.unparse(node).rpartition(".")[2] == "DEBUG":
        return True, OFF_IN_PRODUCTION
    on, by = _truth(node, environ)
    return (None if on is None else not on), by


def _holds(value: str, text: str) -> bool:
    """A comparison with a text, or the truth of a word."""
    compared = re.search(r"""(==|!=|in)\s*+(?:[\[({]\s*+)?((?:['"][^'"]*['"]\s*+(?:,\s*+)?)+)""", text)
    if compared is None:
        return value.lower() not in OFF
    words = re.findall(r"""['"]([^'"]*)['"]""", compared[2])
    lowered = ".lower()" in text
    same = (value.lower() if lowered else value) in words
    return same if compared[1] != "!=" else not same
