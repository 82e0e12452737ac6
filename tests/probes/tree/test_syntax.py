"""Syntax trees of Python and Ruby, and sources that would freeze their parsers."""

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


def test_ruby_nodes_know_their_text_however_long_the_file() -> None:
    source = b"".join(b"class A%d; end\n" % number for number in range(6000))

    names = [ruby.text(one.child_by_field_name("name")) for one in ruby.named(ruby.parse(source))]

    assert names == [f"A{number}" for number in range(6000)]
