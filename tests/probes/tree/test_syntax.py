"""Syntax trees of Python and Ruby, and sources that would freeze their parsers."""

import ast
import warnings

import pytest

from kiqdoctor.probes.tree import python, ruby
from kiqdoctor.probes.tree.errors import UnparsedError


def test_what_the_compiler_thinks_of_the_source_is_not_said() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(python.parse(b'x = "\\d"\nassert (x, 1)\n').body) == 2


def test_a_formatted_string_that_takes_minutes_is_not_tried() -> None:
    with pytest.raises(UnparsedError, match="too long"):
        python.parse(b'f"' + b"{1}" * 300_000 + b'"')
    with pytest.raises(UnparsedError, match="too long"):
        python.parse(b'x = RF"""' + b"{1}\n" * 300_000 + b'"""')
    assert python.parse(b"x = [" + b"{1: 2}," * 10_000 + b"]").body


def test_ruby_that_takes_minutes_is_given_up() -> None:
    with pytest.raises(UnparsedError, match=r"longer than 0\.01 s"):
        ruby.parse(b"%w[" * 10_000, seconds=0.01)


@pytest.mark.parametrize(
    "line",
    [
        b"def show\n  render Dialog.new(**options), &\nend",
        b"def show(&)\n  render Dialog.new,\n    a: 1,\n    &\nend",
        b"def show\n  return go a(@x.id<<'/'<<@x.name, :p => 1), b: 2 if c\nend",
        b"opts [:approved] = false",
        b'def log(text) = puts "at #{text}"',
        b"x <<~MD\n  a\n  #{\n    f('t', <<~MD)\n      b: 1\n    MD\n  }\nMD",
        b"def f(x) = 1\ndef g(data)  = raise NotImplementedError",
        b"case x\nin a: { p: %r{^/y}i },\n   b: /^A_(.+)/\n  go 1\nend",
        b"f if: -> r { r.ok? && r.p in c: 'x' | 'y' |\n  'z',\n  action: 'a' | :b |\n  'c' } do |r|\n  1\nend",
        b"scope :for, -> by, strict: by.nil? {\n  where(by: { id: 1 })\n}",
        b'def to_param = raise "use #{self} # not this"  # nobody does\ndef is? = a != :b',
    ],
)
def test_ruby_that_its_grammar_does_not_know(line: bytes) -> None:
    source = b"class A\n" + line + b"\ndef z; end\nend\n"
    root = ruby.parse(source)

    assert not root.has_error
    assert root.end_byte == len(source)
    assert "z" in [ruby.text(one.child_by_field_name("name")) for one in ruby.walk(root) if one.type == "method"]


def test_broken_ruby_stays_broken() -> None:
    assert ruby.parse(b"class A\n  def f(\n  x, &\n").has_error


def test_ruby_nodes_know_their_text_however_long_the_file() -> None:
    source = b"".join(b"class A%d; end\n" % number for number in range(6000))

    names = [ruby.text(one.child_by_field_name("name")) for one in ruby.named(ruby.parse(source))]

    assert names == [f"A{number}" for number in range(6000)]


NEWER = {
    "exceptions without parentheses": ("try:\n  f()\nexcept A, B:\n  g()\n", "try:\n  f()\nexcept (A, B):\n  g()\n"),
    "a type": ("type X = int\nx = 1\n", "X = int\nx = 1\n"),
    "a type with parameters": ("if y:\n  type X[T] = list[T]\n", "if y:\n  X = list[T]\n"),
    "parameters of a function": ("def f[T: int, *U](x: T) -> T: pass\n", "def f(x: T) -> T: pass\n"),
    "parameters of a class": ("class A[T = int](B):\n  pass\n", "class A(B):\n  pass\n"),
    "parameters over lines": ("class A[\n  T,\n](B):\n  pass\n", "class A\\\n  \\\n  (B):\n  pass\n"),
    "an annotation over lines": (
        "type X = int\nx: dict[\n  str,\n  int,\n] = {}\ndef f() -> tuple[\n  int,\n]: pass\n",
        "X = int\nx: dict[\n  str,\n  int,\n] = {}\ndef f() -> tuple[\n  int,\n]: pass\n",
    ),
    "a text in a text": ("""x = f"{g(f'a {b['c']}', 1)} d"\n""", "x = (g((b['c'],), 1),)\n"),
    "a text with quotes": ('x = f"{a["b"]} c {d!r:>10}"\n', 'x = (a["b"], d,)\n'),
    "one over lines": ('x = f"{\n  a["b"]\n}"\ny = 1\n', 'x = (\n  a["b"],\n)\ny = 1\n'),
    "several": ('x = "p" f"{a["b"]}" "q"\n', 'x = (a["b"],)\n'),
    "a template": ('x = t"{a}"\n', "x = (a,)\n"),
}


@pytest.mark.parametrize(("newer", "older"), NEWER.values(), ids=NEWER)
def test_newer_python_is_read(newer: str, older: str) -> None:
    found = python.parse(newer.encode())

    expected = _own(newer) or ast.parse(older)
    assert ast.unparse(found).replace("[T]", "") == ast.unparse(expected).replace("[T]", "")
    assert found.body[-1].lineno == expected.body[-1].lineno


def _own(text: str) -> ast.Module | None:
    """What an interpreter makes of it that is new enough."""
    try:
        return ast.parse(text)
    except SyntaxError:
        return None


def test_broken_python_stays_broken() -> None:
    for text in (b"def f(:\n", b"except A, B:\n", b"type = \n", b'f"{a["b"}"\n', b"\xff\n"):
        with pytest.raises(UnparsedError, match=r"SyntaxError|ValueError"):
            python.parse(text)
