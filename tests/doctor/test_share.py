"""A share of a sample, and what it says of the whole."""

import pytest

from kiqdoctor.doctor.share import Share


@pytest.mark.parametrize(
    ("count", "looked", "low", "high"),  # as Wilson's score interval has them in print
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (5, 10, 0.2366, 0.7634), (81, 263, 0.2553, 0.3662)],
)
def test_wilson(count: int, looked: int, low: float, high: float) -> None:
    share = Share(count, looked, 1_000_000)

    assert share.low == pytest.approx(low, abs=5e-4)
    assert share.high == pytest.approx(high, abs=5e-4)


def test_the_whole_is_exact() -> None:
    whole = Share(3, 4, 4)

    assert (whole.low, whole.value, whole.high) == (0.75, 0.75, 0.75)
    assert whole.text == "3 of all 4"


def test_nothing_looked_at_says_nothing() -> None:
    nothing = Share(0, 0, 9)

    assert (nothing.low, nothing.value, nothing.high) == (0.0, 0.0, 1.0)


def test_it_stands_for_jobs() -> None:
    assert Share(50, 200, 1000).jobs == 250
    assert Share(50, 200, 1000).text == "50 of 200 sampled of 1000 (20% to 31%, 95 % sure)"
