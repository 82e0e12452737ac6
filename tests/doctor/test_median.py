"""The median is Python's own."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor.doctor.median import median


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=9))
def test_it_is_pythons(values: list[float]) -> None:
    assert median(iter(values)) == statistics.median(values)


def test_of_nothing_there_is_none() -> None:
    with pytest.raises(ValueError, match="nothing"):
        median([])
