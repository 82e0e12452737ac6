"""The line of every key, whatever TOML is written around it."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor.cli.words.places import lines
from kiqdoctor.examining.configuration import Key

DOCUMENT = '''\
# a comment with [brackets] and "quotes
first = """
[not.a.table]
not = "a key"
""" # the string ends
second = \'\'\'
it's = 1\'\'\'
"quoted \\"key\\"" = 1
dotted.inner."third \\u0041" = [
    1, # one
    "]",
    { a = 1, b = [2,
      3] },
]

[table . "with space"]
value = 2026-12-31T00:00:00Z
inline = { x = 1, y.z = "}" }

[[many]]
name = "first"
[many.inside]
key = 1
[[many]]
name = """ends in a quote\\""""
[[many.deeper]]
key = 2
[[many.deeper]]
key = 3
'''


def test_each_kind_of_key() -> None:
    found = lines(DOCUMENT)

    tomllib.loads(DOCUMENT)
    assert found["first",] == 2
    assert found["second",] == 6
    assert found['quoted "key"',] == 8
    assert found["dotted", "inner", "third A"] == 9
    assert found["dotted", "inner", "third A", 1] == 11
    assert found["dotted", "inner", "third A", 2, "b", 1] == 13
    assert found["table", "with space"] == 16
    assert found["table", "with space", "inline", "y", "z"] == 18
    assert found["many", 0, "inside", "key"] == 23
    assert found["many", 1] == 24
    assert found["many", 1, "name"] == 25
    assert found["many", 1, "deeper", 1, "key"] == 29
    assert ("not",) not in found


values = st.recursive(
    st.integers() | st.booleans() | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"])),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.text('abc-_ ."#[]=', min_size=1), values, max_size=6))
def test_every_key_that_the_parser_finds_has_its_line(table: dict[str, object]) -> None:
    import json

    def spelt(value: object) -> str:
        return json.dumps(value, ensure_ascii=False)

    text = "\n".join(f"{spelt(key)} = {spelt(value)}  # {key}" for key, value in table.items())
    parsed = tomllib.loads(text)
    found = lines(text)

    expected: dict[Key, int] = {(key,): number for number, key in enumerate(table, start=1)}
    assert parsed == table
    assert {key: line for key, line in found.items() if len(key) == 1} == expected
