"""Text from outside cannot move a cursor, restyle a screen or reorder what is beside it."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor.text import SHORT, clean, decode


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("Mail\x1b]52;c;aGk=\x07", "Mail␛]52;c;aGk=␇"),
        ("a\x9b2Jb", "a\\u009b2Jb"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("tab\tline\nend\x7f", "tab␉line␊end␡"),
        ("lone \ud800", "lone \\ud800"),
        ("Größe 漢字 [/foo]", "Größe 漢字 [/foo]"),
    ],
)
def test_hostile_text_is_spelt_out(hostile: str, shown: str) -> None:
    assert clean(hostile) == shown


@given(st.text())
def test_nothing_unsafe_comes_through(text: str) -> None:
    shown = clean(text)

    assert len(clean(text, 10_000)) <= 7 * min(len(text), 10_000) + 1
    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for char in shown)
    shown.encode("utf-8")


def test_long_text_is_cut() -> None:
    assert clean("x" * 1_000_000) == "x" * (SHORT - 1) + "…"


def test_a_heap_of_combining_marks_is_levelled() -> None:
    assert clean("a" + "\u0301" * 50) == "a" + "\u0301" * 3


@given(st.binary())
def test_bytes_always_decode_to_text_that_encodes(raw: bytes) -> None:
    decode(raw).encode("utf-8")
