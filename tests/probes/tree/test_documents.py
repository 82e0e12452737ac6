"""YAML, JSON and TOML: values with their lines, and hostile documents that cost little."""

import pytest

from kiqdoctor.probes.tree import erb
from kiqdoctor.probes.tree.documents import Table, Value, toml, yaml
from kiqdoctor.probes.tree.errors import UnparsedError


def one(text: str) -> Table:
    [found] = yaml(text.encode())
    assert isinstance(found, Table)
    return found


def test_values_and_lines() -> None:
    found = one("a: 1\nb:\n  c: [x, '2', 3.5, true, ~]\n  d: yes\non: 1\n")

    assert found == {"a": 1, "b": {"c": ["x", "2", 3.5, True, None], "d": True}, "on": 1}
    assert (found.lines, found.table("b").line, found.table("b").lines["d"]) == ({"a": 1, "b": 2, "on": 5}, 3, 4)
    assert (found.table("b", "no"), found.table("a"), found.table("no", "c")) == ({}, {}, {})


def test_documents_json_and_nothing() -> None:
    assert yaml(b"a: 1\n---\nb: 2\n---\n") == ({"a": 1}, {"b": 2}, None)
    assert yaml(b'{"a": {"b": [1]}}') == ({"a": {"b": [1]}},)
    assert yaml(b"") == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("1_000", 1000), ("-3", -3), ("0", 0), ("9" * 5000, "9" * 5000), ("0x1f", "0x1f"), ("1:30", "1:30")),
        *(
            (".inf", ".inf"),
            ("1e3", "1e3"),
            ("1.5e+3", 1500.0),
            ("2001-01-01", "2001-01-01"),
            ("!!binary aGk=", "aGk="),
        ),
        *(("!custom x", "x"), ("!reset null", None), ("!reset [a]", None), ("!vault {a: 1}", {"a": 1})),
    ],
)
def test_scalars_are_what_they_say_and_never_a_crash(text: str, value: Value) -> None:
    assert one(f"a: {text}\n") == {"a": value}


def test_merged_mappings_are_below_what_is_said_itself() -> None:
    found = one("x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\nz: {<<: [*x, *y], a: 3}\n")

    assert found.table("z") == {"a": 3, "b": 1, "c": 2}


def test_a_document_that_holds_itself() -> None:
    found = one("a: &a {b: *a}\n").table("a")

    assert found.table("b") is found


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 200 + "]" * 200, "it is nested deeper than 100 levels"),
        ("[" * 100_000, "it is not YAML"),
        ("a: [1\n", "it is not YAML"),
        ("".join(f"k{n}: &k{n} {{<<: [*k{n - 1}, *k{n - 1}], a{n}: 1}}\n" for n in range(1, 999)), "it is not YAML"),
        (
            "k0: &k0 {a: 1}\n" + "".join(f"k{n}: &k{n} {{<<: *k{n - 1}, a{n}: 1}}\n" for n in range(1, 999)),
            "it has more than 100000 keys",
        ),
    ],
    ids=["deep", "endless", "open", "no such alias", "merged again and again"],
)
def test_hostile_yaml(text: str, reason: str) -> None:
    with pytest.raises(UnparsedError, match=reason):
        yaml(text.encode())


def test_what_aliases_repeat_is_made_once() -> None:
    lines = [f"k{n}: &k{n} [*k{n - 1}, *k{n - 1}]\n" for n in range(1, 60)]

    found = one("k0: &k0 [x]\n" + "".join(lines))["k59"]

    assert isinstance(found, list)
    assert found[0] is found[1]


def test_errors_say_where_and_quote_nothing() -> None:
    with pytest.raises(UnparsedError) as caught:
        yaml(b"a: 1\npassword: [s3cret\n---\n")
    assert (str(caught.value), caught.value.line) == ("it is not YAML", 3)
    with pytest.raises(UnparsedError) as caught:
        toml(b"a = 1\npassword = s3cret\n")
    assert (str(caught.value), caught.value.line) == ("it is not TOML", 2)


def test_embedded_ruby_is_a_word_and_keeps_the_lines() -> None:
    found = one('<% if x\n %>\na: <%= ENV.fetch("X", 10) %>\n<% end %>\nb: [<%= 1, 2 -%>, 3]\n<%# no %>c: 1\n')

    assert erb.expression(found["a"]) == 'ENV.fetch("X", 10)'
    assert found["b"] == ["<%= 1, 2 %>", 3]
    assert one("q: [mail_<%= `hostname` %>]\n<%= x %>: 1\n") == {"q": ["mail_<%= `hostname` %>"], "<%= x %>": 1}
    assert (found.lines, found["c"]) == ({"a": 3, "b": 5, "c": 6}, 1)


def test_a_line_that_is_ruby_alone_is_a_key_that_nobody_knows() -> None:
    found = one("a:\n  b: 1\n<% x.each do |y| %>\n  <%= y if z %>\n<% end %>\n  c: 2\n")

    assert found == {"a": {"b": 1, "<%= y if z %>": None, "c": 2}}
    with pytest.raises(UnparsedError):
        yaml(b"a: [\n<%= y %>\n")


@pytest.mark.parametrize("value", ["erb0x41", 5, None, "<%= 1 %>2", "<% 1 %>", "<%= 1 %><%= 2 %>", "<%="])
def test_what_is_no_expression(value: object) -> None:
    assert erb.expression(value) is None


@pytest.mark.parametrize("text", ["erb0xff", "erb0x123", "erb0x", "erb0x41"])
def test_words_of_ours_in_a_file_are_words(text: str) -> None:
    assert one(f"a: {text}\n") == {"a": text}
    assert one(f"a: {text}<%# x %>\n")["a"] in {text, "<%= A %>", "<%=  %>"}


def test_toml_as_tables() -> None:
    found = toml(b'a = 1\n[b]\nc = [{d = 2001-01-01}, {d = "x"}]\n')

    assert found.table("b").tables("c") == [{"d": "2001-01-01"}, {"d": "x"}]
    assert (found.whole("a"), found.whole("b"), found.text("a")) == (1, None, "")


@pytest.mark.parametrize(
    "text", ["a." * 100_000 + "a = 1", f"[{'a . ' * 101}a]", "a = " + "[" * 100_000, "a = " + "9" * 5000]
)
def test_hostile_toml(text: str) -> None:
    with pytest.raises(UnparsedError):
        toml(text.encode())
