"""The same source written otherwise: re-indented, renamed, aliased, moved one call away. The verdict stays."""

import ast
import re
from collections.abc import Callable
from copy import deepcopy

JOBS = {"perform", "run", "handle"}
FIXED = {*JOBS, "self", "cls", "ready", "initialize", "post_fork", "away", "pytestmark"}


def python(text: str) -> dict[str, str]:
    """An example in Python and its rewritings, by what was done to it."""
    return {"as written": text, **{how.__name__: how(text) for how in (reindented, renamed, aliased, moved)}}


def ruby(text: str) -> dict[str, str]:
    """An example in Ruby and its rewritings."""
    hows: tuple[Callable[[str], str], ...] = (ruby_reindented, ruby_renamed, ruby_aliased, ruby_moved)
    return {"as written": text, **{how.__name__: how(text) for how in hows}}


def crossed(examples: dict[str, str], how: Callable[[str], dict[str, str]]) -> dict[str, str]:
    """Each example in each of its ways, by name."""
    return {f"{name}, {way}": text for name, one in examples.items() for way, text in how(one).items()}


def reindented(text: str) -> str:
    lines = ast.unparse(ast.parse(text)).splitlines()
    return "".join(f"{_tabs(line)}\n" for line in lines)


def _tabs(line: str) -> str:
    bare = line.lstrip(" ")
    return "\t" * ((len(line) - len(bare)) // 4) + bare


def renamed(text: str) -> str:
    """What the example itself binds, apart from what a framework calls, parameters and names of keywords."""
    tree = ast.parse(text)
    bound = {one.id for one in ast.walk(tree) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    bound |= {one.name for one in tree.body if isinstance(one, ast.FunctionDef | ast.ClassDef)}
    arguments = {one.arg for one in ast.walk(tree) if isinstance(one, ast.arg)}
    held = {one.id for cls in ast.walk(tree) if isinstance(cls, ast.ClassDef) for one in _held(cls)}
    return ast.unparse(_Renamer({name: f"{name}9" for name in bound - FIXED - arguments - held}).visit(tree))


def _held(cls: ast.ClassDef) -> list[ast.Name]:
    targets = [one for statement in cls.body if isinstance(statement, ast.Assign) for one in statement.targets]
    return [one for one in targets if isinstance(one, ast.Name)]


def aliased(text: str) -> str:
    """What is imported, under another name."""
    tree = ast.parse(text)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            for alias in node.names:
                if "." not in (alias.asname or alias.name) and alias.name != "*":
                    old = alias.asname or alias.name
                    names[old] = alias.asname = f"{old}_8"
    return ast.unparse(_Renamer(names).visit(tree))


class _Renamer(ast.NodeTransformer):
    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._names.get(node.id, node.id)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.name = self._names.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        node.name = self._names.get(node.name, node.name)
        return self.generic_visit(node)

    def visit_Global(self, node: ast.Global) -> ast.AST:
        node.names = [self._names.get(name, name) for name in node.names]
        return node


def moved(text: str) -> str:
    """What a job does, in a function that it calls; what is given by default goes along."""
    tree = ast.parse(text)
    classes = [one for one in ast.walk(tree) if isinstance(one, ast.ClassDef)]
    owners: list[ast.Module | ast.ClassDef] = [tree, *classes]
    for owner in owners:
        for function in [one for one in owner.body if isinstance(one, ast.FunctionDef)]:
            if function.name in JOBS or (function.decorator_list and isinstance(owner, ast.Module)):
                owner.body.append(_away(function, f"away_{function.name}"))
    return ast.unparse(ast.fix_missing_locations(tree))


def _away(function: ast.FunctionDef, name: str) -> ast.FunctionDef:
    away = deepcopy(function)
    away.name, away.decorator_list = name, [one for one in away.decorator_list if isinstance(one, ast.Call)]
    function.decorator_list = [one for one in function.decorator_list if not isinstance(one, ast.Call)]
    first = len(function.args.args) - len(function.args.defaults)
    handed = [one.arg for one in function.args.args[:first]]
    method = bool(handed) and handed[0] == "self"
    called = ast.parse(f"{'self.' if method else ''}{name}({', '.join(handed[method:])})").body
    function.body, function.args.args, function.args.defaults = called, function.args.args[:first], []
    return away


def ruby_reindented(text: str) -> str:
    return re.sub(r"^(?:  )+", lambda found: "\t" * (len(found[0]) // 2), text, flags=re.MULTILINE)


def ruby_renamed(text: str) -> str:
    """Its own classes, methods, variables of classes and of methods."""
    names = {*re.findall(r"^ *class ([A-Z]\w*)", text, re.MULTILINE), *re.findall(r"@@(\w+)", text)}
    names |= {*re.findall(r"def (?:self\.)?(\w+)", text), *re.findall(r"^ *([a-z]\w*) = ", text, re.MULTILINE)}
    for name in names - FIXED:
        text = re.sub(rf"(?<![\w.:]){name}\b(?!:[^:])|(?<=\.){name}\b|(?<=[ (]:){name}\b", f"{name}9", text)
    return text


def ruby_aliased(text: str) -> str:
    """Constants of the outside, spelt from the top."""
    own = {*re.findall(r"^ *(?:class|module) ([A-Z]\w*)", text, re.MULTILINE)}
    own |= {*re.findall(r"^ *([A-Z]\w*) = ", text, re.MULTILINE)}

    def spelt(found: re.Match[str]) -> str:
        return found[0] if found[0] in own else f"::{found[0]}"

    lines = text.splitlines(keepends=True)
    return "".join(
        one if "class " in one else re.sub(r"(?<![\w:\"'@$])[A-Z]\w*(?=(?:\.|::)\w)", spelt, one) for one in lines
    )


def ruby_moved(text: str) -> str:
    """What a job does, in a method that it calls."""

    def away(found: re.Match[str]) -> str:
        parameters, body = found[1] or "", found[2]
        handed = ", ".join(re.findall(r"\w+", parameters))
        return f"  def perform{parameters}\n    away({handed})\n  end\n  def away{parameters}\n{body}  end\n"

    return re.sub(r"^  def perform(\([^)\n]*\))?\n(.*?)^  end\n", away, text, flags=re.MULTILINE | re.DOTALL)
