"""Which of the application's own tests name what a commit hook enqueues, and whether they run commit hooks."""

import ast
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Code, Enqueues
from kiqdoctor.doctor.facts.code.hook_tests import HookTest, HookTests, Runs
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

if TYPE_CHECKING:
    from kiqdoctor.probes.code.python.module import Module
    from kiqdoctor.probes.tree.file import File

READS: Final = Read("tests, *.py", "", "only where jobs are enqueued by commit hooks; parsed where they name one")
DEADLINE: Final = 60.0  # seconds
RUNS: Final = regex(
    rb"capture_?on_?commit_?callbacks|TransactionTestCase|LiveServer|transactional_db|transaction\s*=\s*True|on_commit"
    rb"|serialized_rollback|live_server|ATOMIC|enterClassContext",
    re.IGNORECASE,
)
"""Words of tests that run commit hooks, or put their own in place of them."""
COMMITS: Final = regex(
    rb"use_transactional_(?:fixtures|tests|examples)\W{1,5}false|database_?cleaner|run_callbacks|committed!"
    rb"|test_after_commit|after_commit",
    re.IGNORECASE,
)
"""Words of tests in Ruby by which commit hooks may run."""
ROLLED_BACK: Final = frozenset(
    {"django.test.TestCase", "django.test.testcases.TestCase", "rest_framework.test.APITestCase"}
)
OPEN_NONE: Final = frozenset({"django.test.SimpleTestCase", "unittest.TestCase", "object"})
MARK: Final = "pytest.mark.django_db"
FIXTURES: Final = frozenset({"db", "client", "admin_client", "admin_user", "rf", "monkeypatch", "mocker", "self"})
"""Of pytest and pytest-django; none of them runs commit hooks."""
PATHS: Final = frozenset({"path", "re_path", "url"})
ASKS: Final = frozenset({"get", "post", "put", "patch", "delete", "generic"})
"""What a client of tests is asked."""
PART: Final = "[^/]+"  # of a path, in place of a converter
DOTTED: Final = regex(r"[A-Za-z_][\w.]{0,200}")
DEEPEST: Final = 20  # classes above a class


@probe(READS, lane=Lane.FILES, deadline_s=DEADLINE)
def hook_tests(tree: Tree, code: Code, enqueues: Enqueues) -> HookTests:
    """By the names of jobs, and of the functions that enqueue them."""
    every = [one for one in enqueues.sites if one.after_commit]
    waiting = [one for one in every if code.language(one) == "python"]
    ruby = tree.tests(".rb") if len(every) > len(waiting) else ()
    rolled_back = bool(ruby) and not any(map(_commits, ruby))
    if not waiting:
        return HookTests(ruby=len(ruby), rolled_back=rolled_back)
    words = {one.job.rpartition(".")[2] for one in waiting} - {""}
    words |= {code.functions[one.function].name.rpartition(".")[2] for one in waiting}
    files = tree.tests(".py")
    modules, broken = _read(files)
    reader = _Reader(modules, words, _routes(tree))
    partial = f"{len(broken)} files of tests could not be read, the first {broken[0]}" if broken else ""
    return HookTests(tuple(reader.tests()), len(files), partial, len(ruby), rolled_back)


def _commits(file: "File") -> bool:
    """Whether a test in Ruby does without a transaction or runs hooks itself; also where that cannot be read."""
    try:
        return COMMITS.search(file.content()) is not None
    except UnreadableError:
        return True


def _routes(tree: Tree) -> dict[str, list[tuple[str, str]]]:
    """Views by their own name, each with its patterns and the names that those are given."""
    found: dict[str, list[tuple[str, str]]] = {}
    for file in tree.files(".py"):
        try:
            calls = ast.walk(file.python()) if b"urlpatterns" in file.content() else ()
        except (UnparsedError, UnreadableError):
            continue
        for one in calls:
            called = getattr(one.func, "id", getattr(one.func, "attr", "")) if isinstance(one, ast.Call) else ""
            if not isinstance(one, ast.Call) or called not in PATHS or len(one.args) < len(("pattern", "view")):
                continue
            view = one.args[1].func if isinstance(one.args[1], ast.Call) else one.args[1]
            last = [part for part in ast.unparse(view).split(".") if part != "as_view"][-1]
            name = next((_text(word.value) for word in one.keywords if word.arg == "name"), "")
            found.setdefault(last, []).append((_text(one.args[0]), name))
    return found


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _leads(pattern: str, path: str) -> bool:
    """Whether a pattern of a view fits the end of a path: what it is included under stands before it."""
    plain = pattern.strip("^$/")
    if not plain:
        return False
    parts = "/".join(PART if "<" in part or "(" in part else re.escape(part) for part in plain.split("/"))
    return re.search(rf"(?:^|/){parts}/?$", path.partition("?")[0]) is not None


def _read(files: "tuple[File, ...]") -> "tuple[list[tuple[File, Module]], list[str]]":
    from kiqdoctor.probes.code.python.reading import read

    modules, broken = [], []
    for file in files:
        try:
            modules.append((file, read(file.path.removesuffix(".py").replace("/", "."), file.path, file.python())))
        except (UnparsedError, UnreadableError):
            broken.append(file.path)
    return modules, broken


class _Reader:
    """All files of tests together: classes of tests descend from each other's."""

    def __init__(
        self, modules: "list[tuple[File, Module]]", words: set[str], routes: dict[str, list[tuple[str, str]]]
    ) -> None:
        self._modules = modules
        self._words = words
        self._routes = {view: told for view, told in routes.items() if view in words}
        self._routed = bool(routes)
        self._classes: dict[str, list[tuple[File, Module, ast.ClassDef]]] = {}
        for file, module in modules:
            for cls in module.classes.values():
                self._classes.setdefault(cls.name, []).append((file, module, cls))
        self._everywhere = any(
            file.name == "conftest.py" and b"autouse" in file.content() and RUNS.search(file.content())
            for file, _ in modules
        )

    def tests(self) -> Iterator[HookTest]:
        for file, module in self._modules:
            for cls in module.classes.values():
                names = self._named(module, cls)
                if names:
                    yield self._test(file, cls.lineno, cls.name, names, self._class(file, module, cls))
            functions = [one for one in module.body.node.body if isinstance(one, ast.FunctionDef)]
            helpers = [one for one in functions if not one.name.startswith("test")]
            for one in functions:
                names = self._named(module, one, *helpers)
                if one.name.startswith("test") and names:
                    yield self._test(file, one.lineno, one.name, names, self._function(file, module, one))

    def _test(self, file: "File", line: int, name: str, names: tuple[str, ...], runs: Runs) -> HookTest:
        return HookTest(file.path, line, clean(name), names, Runs.RUN if self._everywhere else runs)

    def _named(self, module: "Module", *nodes: ast.AST) -> tuple[str, ...]:
        walked = [one for node in nodes for one in ast.walk(node)]
        stand = module.body.aliases
        said = {stand.get(one.id, one.id).rpartition(".")[2] for one in walked if isinstance(one, ast.Name)}
        said |= {one.attr for one in walked if isinstance(one, ast.Attribute)}
        for one in walked:
            text = _text(one) if isinstance(one, ast.Constant) else ""
            said |= {*text.split(".")} if "." in text and DOTTED.fullmatch(text) else set()
            said |= {*self._asked(one)} if isinstance(one, ast.Call) else set()
        return tuple(sorted(said & self._words))

    def _asked(self, call: ast.Call) -> Iterator[str]:
        """The views that a test's client asks: by path, by the name of their route; where no file routes, any."""
        func = call.func
        asks = isinstance(func, ast.Attribute) and func.attr in ASKS and "client" in ast.unparse(func.value).lower()
        if not asks or not call.args:
            return
        if not self._routed:
            yield from self._words
        first = call.args[0]
        if isinstance(first, ast.JoinedStr):
            path = "".join(_text(one) if isinstance(one, ast.Constant) else "x" for one in first.values)
        else:
            path = _text(first)
        named = _text(first.args[0]).rpartition(":")[2] if isinstance(first, ast.Call) and first.args else ""
        for view, told in self._routes.items():
            if any((named and named == name) or (path and _leads(pattern, path)) for pattern, name in told):
                yield view

    def _class(self, file: "File", module: "Module", cls: ast.ClassDef) -> Runs:
        if RUNS.search(file.content()):
            return Runs.RUN
        if _marked(module, cls.decorator_list) or _marked(module, [module.held.get("pytestmark")]):
            return Runs.NEVER
        return self._above(module, cls, 0)

    def _above(self, module: "Module", cls: ast.ClassDef, depth: int) -> Runs:
        found = {self._base(module, one, depth) for one in cls.bases if depth < DEEPEST} or {Runs.NONE}
        return next(one for one in (Runs.RUN, Runs.UNKNOWN, Runs.NEVER, Runs.NONE) if one in found)

    def _base(self, module: "Module", node: ast.expr, depth: int) -> Runs:
        name = module.dotted(node)
        if name in ROLLED_BACK:
            return Runs.NEVER
        if name in OPEN_NONE:
            return Runs.NONE
        known = self._classes.get(name.rpartition(".")[2], [])
        if len(known) != 1:
            return Runs.UNKNOWN
        [(file, above, cls)] = known
        return Runs.RUN if RUNS.search(file.content()) else self._above(above, cls, depth + 1)

    def _function(self, file: "File", module: "Module", node: ast.FunctionDef) -> Runs:
        if RUNS.search(file.content()):
            return Runs.RUN
        given = {one.arg for one in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        if given - FIXTURES:
            return Runs.UNKNOWN
        marked = _marked(module, node.decorator_list) or _marked(module, [module.held.get("pytestmark")])
        return Runs.NEVER if marked or "db" in given else Runs.NONE


def _marked(module: "Module", nodes: "list[ast.expr | None] | list[ast.expr]") -> bool:
    """Whether pytest opens the transaction."""
    every = [part for one in nodes if one is not None for part in (one.elts if isinstance(one, ast.List) else [one])]
    return any(module.dotted(one.func if isinstance(one, ast.Call) else one) == MARK for one in every)
