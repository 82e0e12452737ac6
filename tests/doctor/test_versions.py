"""A version number from outside is one, or none: never an exception."""

import pytest

from kiqdoctor.doctor.versions import version_of


@pytest.mark.parametrize("text", ["", "x", "1.2.3\0", "9" * 5_000, "1." * 80 + "1", "3.3.\u0663x", "latest"])
def test_what_is_none(text: str) -> None:
    assert version_of(text) is None


@pytest.mark.parametrize("text", ["7.3.2", "8.0.0.beta1", "0", "1!2.0"])
def test_what_is_one(text: str) -> None:
    found = version_of(text)

    assert found is not None
    assert found.release
