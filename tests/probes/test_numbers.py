"""Whole numbers from outside: one reader, which never crashes and never guesses."""

import pytest

from kiqdoctor.probes.numbers import whole


@pytest.mark.parametrize(
    ("text", "number"), [("5", 5), (" 12 ", 12), ("-1", -1), ("1_000", 1000), ("0", 0), ("007", 7), (5, 5)]
)
def test_numbers(text: object, number: int) -> None:
    assert whole(text) == number


@pytest.mark.parametrize(
    "text", ["²", "٣", "", "-", "--1", "1.5", "1e3", "0x1f", "9" * 10, "9" * 5000, 10**9, True, None, [5], 5.0, "5 5"]
)
def test_what_is_none(text: object) -> None:
    assert whole(text) is None
